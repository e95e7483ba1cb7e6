/* The stations of a command: port, controller, media; each commits a departure when one joins
 * it. */
#ifndef SMOKESTACK_ARRAY_STATIONS_H
#define SMOKESTACK_ARRAY_STATIONS_H

#include "access.h"
#include "aborts.h"
#include "answers.h"
#include "cache.h"
#include "copies.h"
#include "media.h"
#include "reads.h"
#include "space.h"

static inline int64_t port_transfer(const port_t *port, uint32_t length) {
    return (int64_t)(((unsigned __int128)length * (uint64_t)port->ns_per_mib) >> 20);
}

static void turn_away(array_t *a, uint32_t i, int64_t start, uint8_t status) {
    io_t *io = &a->io[i];
    itl_t *itl = &a->itl[io->itl];
    port_t *port = &a->port[itl->port];
    if (status == STATUS_BUSY) port->busy++, itl->busy++;
    else port->task_set_full++, itl->task_set_full++;
    a->state->page_pending -= pages_promised(io);
    if (io->op == OP_COPY) copy_opened(a, io);
    io->sense = status;
    port_t *wire = &a->port[port->wire];
    wire->rx_free_ns = start + wire->refusal_ns;
    schedule(a, i, wire->rx_free_ns, REFUSE);
    if (port->hang_refusals) refused_again(a, itl->port, io->arrival_ns);
}

/* Whether the port, or the volume by a limit of its own, takes no more. */
static inline int is_full(const port_t *port, const volume_t *lun) {
    return port->outstanding >= port->queue_limit ||
           (lun && lun->queue_limit && lun->outstanding >= lun->queue_limit);
}

static void port_arrive(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    itl_t *itl = &a->itl[io->itl];
    port_t *port = &a->port[itl->port];
    if (io->op >= OP_TASK_MANAGEMENT) {
        task_arrive(a, i);
        return;
    }
    if (!port->up || port->hung) {
        port->dropped++;
        a->state->page_pending -= pages_promised(io);
        if (io->op == OP_COPY) copy_opened(a, io);
        release(a, i);
        return;
    }
    port_t *wire = &a->port[port->wire];
    int64_t start = later(io->time, wire->rx_free_ns);
    io->epoch = port->epoch;
    volume_t *lun = a->state->lun_limits ? &a->volume[itl->volume] : NULL;
    uint32_t quotas = a->state->host_limits;
    if (is_full(port, lun) || (quotas && quotas_refuse(a, io->itl))) { /* SAM's: FACTS 4.1 */
        turn_away(a, i, start, itl->outstanding ? STATUS_TASK_SET_FULL : STATUS_BUSY);
        return;
    }
    if (port->faults && hit(a, port->faults, FAULT_TASK_SET_FULL, io)) {
        turn_away(a, i, start, STATUS_TASK_SET_FULL);
        return;
    }
    int64_t service = wire->command_ns;
    port->outstanding++;
    itl->outstanding++;
    if (lun) lun->outstanding++;
    if (quotas) quotas_take(a, io->itl);
    port->commands++;
    if (io->op == OP_WRITE) {
        io->first_data_ns = (uint64_t)(start - io->arrival_ns + wire->command_ns);
        service += port_transfer(wire, io->length);
        port->rx_bytes += io->length;
        itl->writes++;
        itl->write_bytes += io->length;
    } else if (io->op == OP_READ) {
        itl->reads++;
        itl->read_bytes += io->length;
    }
    wire->rx_free_ns = start + service;
    schedule(a, i, wire->rx_free_ns, CTRL);
}

static inline int64_t core_commit(array_t *a, controller_t *c, int64_t now, int64_t service) {
    int64_t *core = &a->core[c->core_base], least = core[0];
    uint32_t chosen = 0;
    for (uint32_t k = 1; k < c->core_count; k++) { /* no branch: which is least is chance */
        int sooner = core[k] < least;
        least = sooner ? core[k] : least;
        chosen = sooner ? k : chosen;
    }
    core[chosen] = later(now, least) + service;
    c->busy_ns += (uint64_t)service;
    return core[chosen];
}

/* Whether a controller has what a page's reader wants; `w` is the command's draw. */
static inline int read_hits(
    const array_t *a, const io_t *io, uint32_t v, controller_t *c, uint64_t w[4],
    uint64_t *physical) {
    media_draw(a, io, w);
    int hit = c->hit_always || w[0] < c->hit_threshold;
    if (c->caches_reads) hit = reads_find(a, io, v, (uint32_t)(c - a->controller), physical);
    if (hit) c->hits++;
    else c->misses++;
    return hit;
}

static void controller_read(array_t *a, uint32_t i, controller_t *c, int64_t done) {
    io_t *io = &a->io[i];
    uint32_t v = a->itl[io->itl].volume;
    pool_t *pool = &a->pool[a->volume[v].pool];
    uint64_t physical = read_page(a, io, v, pool);
    if (physical == PAGE_NONE) { /* zeros, made by the controller */
        schedule(a, i, done, TX);
        return;
    }
    uint64_t w[4];
    if (read_hits(a, io, v, c, w, &physical)) {
        schedule(a, i, done, TX);
    } else {
        io->lba = physical;
        io->first_data_ns = w[1]; /* the same draw says how long its medium takes */
        schedule(a, i, done, MEDIA);
    }
}

static void controller_write(
    array_t *a, uint32_t i, controller_t *c, uint32_t flags, int64_t done) {
    io_t *io = &a->io[i];
    uint32_t v = a->itl[io->itl].volume;
    pool_t *pool = &a->pool[a->volume[v].pool];
    uint64_t physical = io->op == OP_WRITE && !flags ? write_pages(a, io, v, pool, &done)
                                                     : special_write(a, io, v, flags, &done);
    if (a->state->block_count) values_lost(a, io, v);
    if (physical == PAGE_NONE) {
        schedule(a, i, done, DEPART);
        return;
    }
    if (cache_takes(a, c, io, physical, done)) {
        if (c->caches_reads && io->op == OP_WRITE && !flags)
            reads_written(a, io, (uint32_t)(c - a->controller), physical);
        schedule(a, i, done + c->mirror_ns, DEPART);
    } else {
        io->lba = physical;
        schedule(a, i, done, MEDIA);
    }
}

/* Writes what a copy has read; from here on it is a write. */
static void copy_write(array_t *a, uint32_t i, controller_t *c, uint64_t physical, int64_t now) {
    io_t *io = &a->io[i];
    io->op = OP_WRITE;
    io->lba = physical;
    if (cache_takes(a, c, io, physical, now)) schedule(a, i, now + c->mirror_ns, DEPART);
    else schedule(a, i, now, MEDIA);
}

/* Reads what a copy is of as a read does, and writes it as a write does, one after the other.
 * Space it takes at once, all or none. */
static __attribute__((noinline, cold)) void controller_copy(
    array_t *a, uint32_t i, controller_t *c, uint32_t nexus, int64_t done) {
    io_t *io = &a->io[i];
    uint64_t from = copy_source(io), to = copy_destination(io), w[4];
    io->sense = source_sense(a, io, nexus, from);
    if (io->sense) {
        schedule(a, i, done, DEPART);
        return;
    }
    uint32_t v = a->itl[io->itl].volume, s = a->itl[nexus].volume, pool = a->volume[s].pool;
    io->lba = from;
    uint64_t source = read_page(a, io, s, &a->pool[pool]);
    int mapped = source != PAGE_NONE, goes = mapped && !read_hits(a, io, s, c, w, &source);
    io->lba = to;
    uint64_t physical = copy_pages(a, io, v, s, from, mapped, &done);
    if (!io->sense) {
        if (a->state->block_count) values_copied(a, io, v, s, from);
        unit_of(a, v)->copies++;
        unit_of(a, v)->copied_bytes += io->length;
    }
    if (physical == PAGE_NONE) {
        schedule(a, i, done, DEPART);
    } else if (goes) {
        io->lba = source;
        io->first_data_ns = (uint64_t)pool << COPY_POOL_SHIFT | physical;
        schedule(a, i, done, MEDIA);
    } else {
        copy_write(a, i, c, physical, done);
    }
}

/* The media have given what a copy is of.  Who has lost its controller meanwhile is to be sent
 * again, and writes nothing. */
static __attribute__((noinline, cold)) void copy_fetched(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    const port_t *port = &a->port[a->itl[io->itl].port];
    uint64_t physical = io->first_data_ns & PAGE_NUMBER_MASK;
    io->first_data_ns = 0;
    if (io->epoch != port->epoch) schedule(a, i, io->time, DEPART);
    else copy_write(a, i, &a->controller[port->controller], physical, io->time);
}

static void controller_take(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    const itl_t *itl = &a->itl[io->itl];
    uint32_t from = io->op == OP_COPY ? copy_opened(a, io) : 0;
    if (io->epoch != a->port[itl->port].epoch && /* the controller that had it is gone? */
        (is_aborted(io) || io->epoch < a->port[itl->port].lost_epoch)) {
        a->state->page_pending -= pages_promised(io);
        io->sense = SENSE_NONE;
        depart(a, i);
        return;
    }
    controller_t *c = &a->controller[a->port[itl->port].controller];
    int asks = io->op == OP_TEST_UNIT_READY, writes = io->op != OP_READ && !asks;
    int64_t service = writes ? c->write_ns : c->read_ns;
    if (io->op == OP_COPY) service += c->read_ns;
    if (c->faults) service = slowed(a, c->faults, FAULT_CONTROLLER_SLOW, io, service);
    int64_t done = core_commit(a, c, io->time, service);
    const volume_t *volume = &a->volume[itl->volume];
    uint32_t faults = volume->faults, flags = flags_of(io);
    a->state->page_pending -= pages_promised(io);
    io->sense = io_sense(a, io);
    if (a->state->access && !io->sense) done += access_check(a, io, flags);
    if (itl->attentions && io->sense != SENSE_TRANSITION) attention_tell(a, io);
    if (itl->excluded && !io->sense && is_kept_off(itl, io->op)) {
        io->sense = ANSWER_CONFLICT;
        io->lba = a->unit[volume->unit].reserved;
    }
    if (volume->offline && !io->sense) {
        io->sense = SENSE_UNAVAILABLE;
        io->lba = volume->offline;
    }
    if (itl->excluded & READ_ONLY && writes && !io->sense) {
        io->sense = SENSE_WRITE_PROTECTED;
        io->lba = 0; /* no event made it fail */
    }
    if (faults && !io->sense) spoil(a, faults, FAULT_COMMAND_FAILED, io, SENSE_INTERNAL_FAILURE);
    if (faults && !io->sense) spoil(a, faults, FAULT_NOT_READY, io, SENSE_TRANSITION);
    if (io->sense || asks) schedule(a, i, done, DEPART);
    else if (io->op == OP_COPY) controller_copy(a, i, c, from, done);
    else if (writes) controller_write(a, i, c, flags & ~(uint32_t)FLAG_SET_GROUPS, done);
    else controller_read(a, i, c, done);
}

static void media_take(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    if (is_aborted(io)) {
        depart(a, i);
        return;
    }
    int64_t done = media_commit(a, io);
    int goes = reads_media(io) && !io->sense;
    if (goes && a->state->read_caches && io->op == OP_READ) io->sense = READ_FETCHED;
    if (io->op == OP_DESTAGE) schedule(a, i, done, DESTAGED);
    else schedule(a, i, done, goes ? TX : DEPART);
}

static void port_transmit(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    if (is_aborted(io)) {
        depart(a, i);
        return;
    }
    if (io->op == OP_COPY) {
        copy_fetched(a, i);
        return;
    }
    port_t *port = &a->port[a->itl[io->itl].port], *wire = &a->port[port->wire];
    int64_t start = later(io->time, wire->tx_free_ns);
    wire->tx_free_ns = start + port_transfer(wire, io->length);
    port->tx_bytes += io->length;
    if (io->sense == READ_FETCHED) {
        io->sense = SENSE_NONE;
        if (io->epoch == port->epoch) /* else whom it missed is lost */
            read_keep(a, port->controller, a->itl[io->itl].volume, io->lba);
    }
    io->first_data_ns = (uint64_t)(start - io->arrival_ns);
    schedule(a, i, wire->tx_free_ns, DEPART);
}

#endif
