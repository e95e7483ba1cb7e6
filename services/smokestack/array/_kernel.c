/* The array, command by command: ports, controllers, cache, media and thin pages.
 *
 * One event loop per window: a command arrives at a port, which takes it or refuses it, queues for
 * a controller core, is served from cache or media, and departs.  A station commits a departure
 * when a command joins it, so each station costs one event.  The array runs one forward latency
 * ahead of its submitter: nothing submitted at `until` or later can arrive before that.
 */
#include "smokestack/records.h"
#include "tables.h"

#include "pages.h"
#include "smokestack/exponential.h"
#include "smokestack/faults.h"
#include "smokestack/histogram.h"
#include "smokestack/philox.h"

static inline int io_before(const io_t *a, const io_t *b) {
    if (a->time != b->time) return a->time < b->time;
    if (a->kind != b->kind) return a->kind < b->kind;
    if (a->id != b->id) return a->id < b->id;
    return a->attempt < b->attempt;
}

#define CAL_CTX io_t *
#define CAL_TIME(ctx, i) ((ctx)[i].time)
#define CAL_NEXT(ctx, i) ((ctx)[i].next)
#define CAL_LESS(ctx, i, j) io_before(&(ctx)[i], &(ctx)[j])
#include "smokestack/calendar.h"

enum { T_STATE, T_PORT, T_CONTROLLER, T_CORE, T_POOL, T_DISK, T_VOLUME, T_ITL, T_IO, T_PAGE,
       T_INBOX, T_OUT, T_HISTOGRAM, T_CALENDAR, T_BUCKET, T_NOTE, T_FAULT,
       T_CHAIN, T_COUNT };
static const table_decl_t TABLES[T_COUNT] = {
    {"state", sizeof(array_state_t)}, {"port", sizeof(port_t)},
    {"controller", sizeof(controller_t)}, {"core", sizeof(int64_t)},
    {"pool", sizeof(pool_t)}, {"disk", sizeof(int64_t)},
    {"volume", sizeof(volume_t)}, {"itl", sizeof(itl_t)},
    {"io", sizeof(io_t)}, {"page", sizeof(page_t)},
    {"inbox", sizeof(uint32_t)}, {"out", sizeof(completion_t)},
    {"histogram", sizeof(hist_t)}, {"calendar", sizeof(calendar_t)},
    {"bucket", sizeof(cal_bucket_t)}, {"note", sizeof(note_t)},
    {"fault", sizeof(fault_t)}, {"chain", sizeof(chain_t)}};

/* The bound tables, with their types; made anew for each call. */
typedef struct {
    array_state_t *state;
    port_t *port;
    controller_t *controller;
    int64_t *core;
    pool_t *pool;
    int64_t *disk;
    volume_t *volume;
    itl_t *itl;
    io_t *io;
    page_t *page;
    uint64_t page_mask;
    uint32_t *inbox;
    completion_t *out;
    hist_t *histogram;
    calendar_t *calendar;
    cal_bucket_t *bucket;
    note_t *note; /* a row for each pool and each fault */
    fault_t *fault;
    chain_t *chain;
} array_t;

static inline array_t array_of(const kernel_t *k) {
    return (array_t){k->table[T_STATE],  k->table[T_PORT],      k->table[T_CONTROLLER],
                     k->table[T_CORE],   k->table[T_POOL],      k->table[T_DISK],
                     k->table[T_VOLUME], k->table[T_ITL],       k->table[T_IO],
                     k->table[T_PAGE],   k->rows[T_PAGE] - 1u,  k->table[T_INBOX],
                     k->table[T_OUT],    k->table[T_HISTOGRAM], k->table[T_CALENDAR],
                     k->table[T_BUCKET], k->table[T_NOTE],      k->table[T_FAULT],
                     k->table[T_CHAIN]};
}

static inline void schedule(array_t *a, uint32_t i, int64_t time, uint8_t kind) {
    a->io[i].time = time;
    a->io[i].kind = kind;
    cal_push(a->calendar, a->bucket, a->io, i);
}

/* Most pages that a write may map, whatever its pool's page size (at least 4 KiB). */
static inline uint32_t page_bound(const submission_t *s) {
    return s->op == OP_WRITE ? s->length / 4096u + 2u : 0;
}

/* --- what leaves ------------------------------------------------------------------------- */

/* The order in which records reach a submitter: at one instant events before responses. */
static inline int out_before(const completion_t *a, const completion_t *b) {
    if (a->time != b->time) return a->time < b->time;
    if ((a->kind == KIND_EVENT) != (b->kind == KIND_EVENT)) return a->kind == KIND_EVENT;
    if (a->id != b->id) return a->id < b->id;
    return a->attempt < b->attempt;
}

/* Where the next record goes: it is written in place, for a copy would wait for its parts. */
static inline completion_t *out_place(array_t *a) { return &a->out[a->state->out_end]; }

static inline void emit(array_t *a) {
    array_state_t *s = a->state;
    const completion_t *record = out_place(a);
    if (s->out_end > s->out_start && out_before(record, record - 1)) s->out_disorder = 1;
    s->out_end++;
}

/* Unequal return latencies put records slightly out of order: an insertion sort is linear then. */
static void out_sort(array_t *a) {
    array_state_t *s = a->state;
    for (uint32_t i = s->out_start + 1; i < s->out_end; i++) {
        completion_t record = a->out[i];
        uint32_t at = i;
        for (; at > s->out_start && out_before(&record, &a->out[at - 1]); at--)
            a->out[at] = a->out[at - 1];
        a->out[at] = record;
    }
    s->out_disorder = 0;
}

static inline void release(array_t *a, uint32_t i) {
    a->io[i].next = a->state->io_free;
    a->state->io_free = i;
    a->state->io_free_count++;
}

static inline void respond(array_t *a, uint32_t i, uint8_t status, int64_t now) {
    const io_t *io = &a->io[i];
    int64_t time = now + a->port[a->itl[io->itl].port].return_ns;
    uint64_t id = io->id, first_data_ns = io->first_data_ns;
    uint64_t array_ns = (uint64_t)(now - io->arrival_ns);
    uint32_t itl = io->itl, sense = status == STATUS_CHECK ? io->sense : 0;
    uint16_t attempt = io->attempt;
    *out_place(a) = (completion_t){time, id, array_ns, first_data_ns, itl, sense,
                                   attempt, status, KIND_RESPONSE, 0};
    emit(a);
}

static void count_check(itl_t *itl, uint32_t sense) {
    itl->check_condition++;
    if (sense == SENSE_LBA_OUT_OF_RANGE) itl->out_of_range++;
    else if (sense == SENSE_LU_NOT_SUPPORTED) itl->no_unit++;
    else if (sense == SENSE_UNRECOVERED_READ) itl->media_error++;
    else if (sense == SENSE_INTERNAL_FAILURE) itl->target_failure++;
    else itl->no_space++;
}

/* Number of the event that made a command fail. */
static uint32_t cause_of(const itl_t *itl, const io_t *io) {
    if (io->sense == SENSE_LU_NOT_SUPPORTED) return note_cause(itl->hidden);
    return io->sense == SENSE_LBA_OUT_OF_RANGE ? 0 : note_cause(io->lba);
}

static void depart(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    itl_t *itl = &a->itl[io->itl];
    port_t *port = &a->port[itl->port];
    port->outstanding--;
    itl->outstanding--;
    if (io->epoch != port->epoch) {
        port->dropped++;
    } else {
        int failed = io->sense != 0;
        if (failed) count_check(itl, io->sense);
        else itl->good++;
        hist_add(&a->histogram[io->itl], (uint64_t)(io->time - io->arrival_ns));
        respond(a, i, failed ? STATUS_CHECK : STATUS_GOOD, io->time);
        if (failed) a->out[a->state->out_end - 1].cause = cause_of(itl, io);
    }
    release(a, i);
}

static void refuse(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    port_t *port = &a->port[a->itl[io->itl].port];
    if (io->epoch != port->epoch) port->dropped++;
    else respond(a, i, (uint8_t)io->sense, io->time);
    release(a, i);
}

/* --- faults ------------------------------------------------------------------------------ */

/* The rule of a kind that hits a command, or NULL; its last hit is an event. */
static const fault_t *hit(array_t *a, uint32_t head, uint32_t kind, const io_t *io) {
    array_state_t *s = a->state;
    fault_t *f = fault_hit(a->fault, a->chain, head, kind, s->seed, io->id, io->attempt);
    if (f && f->hits == f->limit)
        NOTE(s, a->note, .time = io->time, .kind = NOTE_FAULT_EXHAUSTED,
             .subject = (uint32_t)(f - a->fault));
    return f;
}

static int64_t slowed(array_t *a, uint32_t head, uint32_t kind, const io_t *io, int64_t service) {
    const fault_t *f = hit(a, head, kind, io);
    return f ? fault_stretch(f, service) : service;
}

/* Makes a command fail if a rule says so. */
static void spoil(array_t *a, uint32_t head, uint32_t kind, io_t *io, uint32_t sense) {
    const fault_t *f = hit(a, head, kind, io);
    if (!f) return;
    io->sense = sense;
    io->lba = f->event;
}

/* --- stations ---------------------------------------------------------------------------- */

static inline int64_t port_transfer(const port_t *port, uint32_t length) {
    return (int64_t)(((unsigned __int128)length * (uint64_t)port->ns_per_mib) >> 20);
}

static inline int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static void turn_away(array_t *a, uint32_t i, int64_t start, uint8_t status) {
    io_t *io = &a->io[i];
    itl_t *itl = &a->itl[io->itl];
    port_t *port = &a->port[itl->port];
    if (status == STATUS_BUSY) port->busy++, itl->busy++;
    else port->task_set_full++, itl->task_set_full++;
    a->state->page_pending -= io->sense;
    io->sense = status;
    port->rx_free_ns = start + port->refusal_ns;
    schedule(a, i, port->rx_free_ns, REFUSE);
}

static void port_arrive(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    itl_t *itl = &a->itl[io->itl];
    port_t *port = &a->port[itl->port];
    if (!port->up) {
        port->dropped++;
        a->state->page_pending -= io->sense;
        release(a, i);
        return;
    }
    int64_t start = later(io->time, port->rx_free_ns);
    io->epoch = port->epoch;
    if (port->outstanding >= port->queue_limit) { /* the SAM rule: FACTS 4.1 */
        turn_away(a, i, start, itl->outstanding ? STATUS_TASK_SET_FULL : STATUS_BUSY);
        return;
    }
    if (port->faults && hit(a, port->faults, FAULT_TASK_SET_FULL, io)) {
        turn_away(a, i, start, STATUS_TASK_SET_FULL);
        return;
    }
    int64_t service = port->command_ns;
    port->outstanding++;
    itl->outstanding++;
    port->commands++;
    if (io->op == OP_WRITE) {
        io->first_data_ns = (uint64_t)(start - io->arrival_ns + port->command_ns);
        service += port_transfer(port, io->length);
        port->rx_bytes += io->length;
        itl->writes++;
        itl->write_bytes += io->length;
    } else {
        itl->reads++;
        itl->read_bytes += io->length;
    }
    port->rx_free_ns = start + service;
    schedule(a, i, port->rx_free_ns, CTRL);
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

/* Where the command ends: the volume has it, or why it cannot. */
static inline uint32_t io_sense(const array_t *a, const io_t *io) {
    const itl_t *itl = &a->itl[io->itl];
    const volume_t *volume = &a->volume[itl->volume];
    if (!itl->valid || !volume->valid) return SENSE_LU_NOT_SUPPORTED;
    uint64_t end;
    if (io->length == 0 || __builtin_mul_overflow(io->lba, (uint64_t)BLOCK_BYTES, &end) ||
        __builtin_add_overflow(end, (uint64_t)io->length, &end) || end > volume->capacity_bytes)
        return SENSE_LBA_OUT_OF_RANGE;
    return SENSE_NONE;
}

/* Refuses a write that the pool has no space for; the first one is an event. */
static void refuse_space(array_t *a, io_t *io, uint32_t v, pool_t *pool, uint64_t missing) {
    pool->failures++;
    io->sense = SENSE_SPACE_ALLOCATION_FAILED;
    if (!pool->exhausted) {
        uint64_t left = pool->capacity_pages - pool->allocated_pages; /* less than is missing */
        pool->exhausted = NOTE(a->state, a->note, .time = io->time, .kind = NOTE_POOL_EXHAUSTED,
                               .subject = a->volume[v].pool, .detail = v,
                               .more = missing << 32 | left);
    }
    io->lba = pool->exhausted;
}

/* Maps what a write touches, all or nothing; returns the first page's physical number. */
static uint64_t write_pages(array_t *a, io_t *io, uint32_t v, pool_t *pool) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    const page_t *found = page_find(a->page, a->page_mask, page_key(v, first));
    uint64_t missing = found->key == 0;
    for (uint64_t p = first + 1; p <= last; p++)
        missing += page_find(a->page, a->page_mask, page_key(v, p))->key == 0;
    if (missing == 0) return found->physical;
    if (pool->allocated_pages + missing > pool->capacity_pages) {
        refuse_space(a, io, v, pool, missing);
        return PAGE_NONE;
    }
    for (uint64_t p = first; p <= last; p++) {
        page_t *page = page_find(a->page, a->page_mask, page_key(v, p));
        if (page->key == 0) *page = (page_t){page_key(v, p), pool->next_page++};
    }
    pool->allocated_pages += missing;
    a->volume[v].allocated_pages += missing;
    a->state->page_count += missing;
    return page_find(a->page, a->page_mask, page_key(v, first))->physical;
}

/* The physical number of the first mapped page that a read touches, or PAGE_NONE. */
static uint64_t read_page(const array_t *a, const io_t *io, uint32_t v, const pool_t *pool) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    for (uint64_t p = first; p <= last; p++) {
        const page_t *page = page_find(a->page, a->page_mask, page_key(v, p));
        if (page->key != 0) return page->physical;
    }
    return PAGE_NONE;
}

static inline void media_draw(const array_t *a, const io_t *io, uint64_t w[4]) {
    philox4x64_10(a->state->seed, STREAM_MEDIA, io->id, io->attempt, 0, 0, w);
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
    media_draw(a, io, w);
    if (c->hit_always || w[0] < c->hit_threshold) {
        c->hits++;
        schedule(a, i, done, TX);
    } else {
        c->misses++;
        io->lba = pool->disk_base + physical % pool->disk_count;
        io->first_data_ns = w[1]; /* the same draw says how long its medium takes */
        schedule(a, i, done, MEDIA);
    }
}

static void controller_write(array_t *a, uint32_t i, controller_t *c, int64_t done) {
    io_t *io = &a->io[i];
    uint32_t v = a->itl[io->itl].volume;
    pool_t *pool = &a->pool[a->volume[v].pool];
    uint64_t physical = write_pages(a, io, v, pool);
    if (physical == PAGE_NONE || c->write_back) {
        schedule(a, i, done, DEPART);
    } else {
        io->lba = pool->disk_base + physical % pool->disk_count;
        schedule(a, i, done, MEDIA);
    }
}

static void controller_take(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    const itl_t *itl = &a->itl[io->itl];
    controller_t *c = &a->controller[a->port[itl->port].controller];
    int writes = io->op == OP_WRITE;
    int64_t service = writes ? c->write_ns : c->read_ns;
    if (c->faults) service = slowed(a, c->faults, FAULT_CONTROLLER_SLOW, io, service);
    int64_t done = core_commit(a, c, io->time, service);
    uint32_t faults = a->volume[itl->volume].faults;
    a->state->page_pending -= io->sense;
    io->sense = io_sense(a, io);
    if (faults && !io->sense) spoil(a, faults, FAULT_COMMAND_FAILED, io, SENSE_INTERNAL_FAILURE);
    if (io->sense) schedule(a, i, done, DEPART);
    else if (writes) controller_write(a, i, c, done);
    else controller_read(a, i, c, done);
}

static void media_take(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    pool_t *pool = &a->pool[a->volume[a->itl[io->itl].volume].pool];
    int64_t *disk = &a->disk[io->lba], service = pool->media_ns;
    if (pool->exponential) {
        uint64_t w[4] = {0, io->first_data_ns};
        if (io->op == OP_WRITE) media_draw(a, io, w);
        service = exponential_ns(pool->media_ns, w[1]);
    }
    if (io->op != OP_WRITE) io->first_data_ns = 0;
    if (pool->faults) {
        service = slowed(a, pool->faults, FAULT_MEDIA_SLOW, io, service);
        if (io->op == OP_READ)
            spoil(a, pool->faults, FAULT_MEDIA_ERROR, io, SENSE_UNRECOVERED_READ);
    }
    *disk = later(io->time, *disk) + service;
    pool->media_busy_ns += (uint64_t)service;
    schedule(a, i, *disk, io->op == OP_WRITE || io->sense ? DEPART : TX);
}

static void port_transmit(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    port_t *port = &a->port[a->itl[io->itl].port];
    int64_t start = later(io->time, port->tx_free_ns);
    port->tx_free_ns = start + port_transfer(port, io->length);
    port->tx_bytes += io->length;
    io->first_data_ns = (uint64_t)(start - io->arrival_ns);
    schedule(a, i, port->tx_free_ns, DEPART);
}

static inline void take(array_t *a, uint32_t i) {
    switch (a->io[i].kind) {
    case DEPART: depart(a, i); break;
    case REFUSE: refuse(a, i); break;
    case TX: port_transmit(a, i); break;
    case MEDIA: media_take(a, i); break;
    case CTRL: controller_take(a, i); break;
    default: port_arrive(a, i); break;
    }
}

/* --- a window ---------------------------------------------------------------------------- */

/* Takes a batch in.  Arrivals in order wait in a list; only those out of order, where ports have
 * unequal latencies, pass through the calendar. */
static void intake(array_t *a, const submission_t *batch, uint32_t count) {
    array_state_t *s = a->state;
    for (uint32_t n = 0; n < count; n++) {
        const submission_t *in = &batch[n];
        uint32_t i = s->io_free;
        io_t *io = &a->io[i];
        s->io_free = io->next;
        const itl_t *itl = &a->itl[in->nexus];
        int64_t arrival = in->time + a->port[itl->port].forward_ns;
        *io = (io_t){.time = arrival, .id = in->id, .lba = in->lba, .arrival_ns = arrival,
                     .length = in->length, .itl = in->nexus, .sense = page_bound(in),
                     .attempt = in->attempt, .op = in->op, .kind = ARRIVE};
        s->page_pending += io->sense;
        uint64_t page = page_of(&a->pool[a->volume[itl->volume].pool], in->lba * BLOCK_BYTES);
        __builtin_prefetch(
            &a->page[page_home(page_key(itl->volume, page), a->page_mask)]);
        uint32_t last = s->inbox_count ? a->inbox[s->inbox_count - 1] : NIL;
        if (last == NIL || io_before(&a->io[last], io)) a->inbox[s->inbox_count++] = i;
        else cal_push(a->calendar, a->bucket, a->io, i);
    }
    s->io_free_count -= count;
}

/* Processes every event before the horizon, in order. */
static void run(array_t *a, int64_t horizon) {
    array_state_t *s = a->state;
    uint32_t taken = 0;
    cal_tune(a->calendar, a->bucket, a->io);
    for (;;) {
        uint32_t next = taken < s->inbox_count ? a->inbox[taken] : NIL;
        int64_t limit = horizon;
        if (next != NIL && a->io[next].time < horizon) limit = a->io[next].time + 1;
        else next = NIL;
        uint32_t i = cal_peek(a->calendar, a->bucket, a->io, limit);
        if (i != CAL_NIL && (next == NIL || io_before(&a->io[i], &a->io[next]))) {
            cal_pop(a->calendar, a->bucket, a->io, i);
            if (a->io[i].next != CAL_NIL) __builtin_prefetch(&a->io[a->io[i].next]);
            take(a, i);
        } else if (next != NIL) {
            taken++;
            port_arrive(a, next);
        } else {
            break;
        }
    }
    s->inbox_count -= taken;
    for (uint32_t n = 0; n < s->inbox_count; n++) a->inbox[n] = a->inbox[n + taken];
}

/* Moves what waits to the front of its table, for the submitter has read the rest. */
static void out_compact(array_t *a) {
    array_state_t *s = a->state;
    uint32_t waiting = s->out_end - s->out_start;
    if (s->out_start && waiting)
        for (uint32_t n = 0; n < waiting; n++) a->out[n] = a->out[s->out_start + n];
    s->out_start = 0;
    s->out_end = waiting;
}

/* The earliest time at which anything else can arrive if nothing more is submitted. */
static int64_t next_ns(array_t *a) {
    array_state_t *s = a->state;
    int64_t next = NEVER_NS, first = cal_first(a->calendar, a->bucket, a->io, NEVER_NS);
    if (s->inbox_count && a->io[a->inbox[0]].time < first) first = a->io[a->inbox[0]].time;
    if (first != NEVER_NS) next = first + s->return_ns;
    if (s->out_start < s->out_end && a->out[s->out_start].time < next)
        next = a->out[s->out_start].time;
    return next;
}

static uint32_t exchange(array_t *a, int64_t until, const submission_t *batch, uint32_t count) {
    array_state_t *s = a->state;
    out_compact(a);
    intake(a, batch, count);
    run(a, until + s->forward_ns);
    if (s->out_disorder) out_sort(a);
    uint32_t ready = 0;
    while (ready < s->out_end && a->out[ready].time < until + s->lookahead_ns) ready++;
    s->out_start = ready;
    s->until_ns = until;
    return ready;
}

enum { NEEDS_NOTHING = 0, NEEDS_COMMANDS = 1, NEEDS_PAGES = 2, NEEDS_OUT = 3, BAD_NEXUS = -1 };

/* What a batch needs before any of it is taken, so that a window never stops half-way. */
static int needs(const kernel_t *k, const array_t *a, const submission_t *batch, uint32_t count) {
    const array_state_t *s = a->state;
    uint64_t pages = s->page_count + s->page_pending;
    for (uint32_t n = 0; n < count; n++) {
        if (batch[n].nexus >= s->itl_count) return BAD_NEXUS;
        pages += page_bound(&batch[n]);
    }
    if (count > s->io_free_count) return NEEDS_COMMANDS;
    if (pages * 2 > a->page_mask) return NEEDS_PAGES;
    uint64_t leaving = (uint64_t)(s->out_end - s->out_start) + k->rows[T_IO] - s->io_free_count;
    return leaving + count > k->rows[T_OUT] ? NEEDS_OUT : NEEDS_NOTHING;
}

/* --- Python ------------------------------------------------------------------------------ */

static PyObject *py_exchange(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "exchange(until_ns, batch, count)");
    kernel_t *k = (kernel_t *)self;
    int64_t until = arg_i64(args[0]), count = arg_i64(args[2]);
    Py_buffer batch;
    if (PyErr_Occurred() || arg_records(args[1], &batch, sizeof(submission_t), count) < 0)
        return NULL;
    array_t a = array_of(k);
    int need;
    uint32_t ready = 0;
    int64_t next = 0;
    Py_BEGIN_ALLOW_THREADS
    need = needs(k, &a, batch.buf, (uint32_t)count);
    if (need == 0) {
        ready = exchange(&a, until, batch.buf, (uint32_t)count);
        next = next_ns(&a);
        int64_t least = until + a.state->lookahead_ns;
        if (next < least) next = least;
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&batch);
    if (need < 0) return PyErr_Format(PyExc_ValueError, "a submission's nexus is no ITL index");
    return Py_BuildValue("iILI", need, ready, (long long)next, a.state->note_count);
}

/* Takes a batch and runs it up to a time within its window, so that a change can act just then. */
static PyObject *py_run_to(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "run_to(time_ns, batch, count)");
    kernel_t *k = (kernel_t *)self;
    int64_t time = arg_i64(args[0]), count = arg_i64(args[2]);
    Py_buffer batch;
    if (PyErr_Occurred() || arg_records(args[1], &batch, sizeof(submission_t), count) < 0)
        return NULL;
    array_t a = array_of(k);
    int need;
    Py_BEGIN_ALLOW_THREADS
    need = needs(k, &a, batch.buf, (uint32_t)count);
    if (need == 0) {
        out_compact(&a);
        intake(&a, batch.buf, (uint32_t)count);
        run(&a, time);
        if (a.state->out_disorder) out_sort(&a);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&batch);
    if (need < 0) return PyErr_Format(PyExc_ValueError, "a submission's nexus is no ITL index");
    return Py_BuildValue("iI", need, a.state->note_count);
}

/* Puts a fresh kernel's lists in order: every command free, the calendar empty at a time. */
static PyObject *py_start(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    int64_t now = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    array_t a = array_of(k);
    *a.calendar = (calendar_t){.floor_ns = now, .mark_ns = now, .mask = CAL_BUCKETS_MIN - 1,
                               .shift = 14, .buckets_max = k->rows[T_BUCKET]};
    cal_clear(a.calendar, a.bucket);
    a.state->io_free = NIL;
    a.state->io_free_count = 0;
    for (uint32_t i = k->rows[T_IO]; i-- > 0;) release(&a, i);
    Py_RETURN_NONE;
}

/* After the command table has grown: the rows from `first` on are free. */
static PyObject *py_grow(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    int64_t first = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    array_t a = array_of(k);
    a.calendar->buckets_max = k->rows[T_BUCKET];
    for (uint32_t i = k->rows[T_IO]; i-- > (uint32_t)first;) release(&a, i);
    Py_RETURN_NONE;
}

/* Fills this kernel's empty page table from another table, without one volume's pages. */
static PyObject *py_copy_pages(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "copy_pages(table, without_volume)");
    Py_buffer from;
    int64_t without = arg_i64(args[1]);
    if (PyErr_Occurred() || arg_records(args[0], &from, sizeof(page_t), 0) < 0) return NULL;
    array_t a = array_of((kernel_t *)self);
    a.state->page_count = pages_copy(from.buf, (uint64_t)(from.len / (Py_ssize_t)sizeof(page_t)),
                                     a.page, a.page_mask, (uint32_t)without);
    PyBuffer_Release(&from);
    return PyLong_FromUnsignedLongLong(a.state->page_count);
}

/* Maps so many of a volume's unmapped pages, of which it has as many; returns the count. */
static PyObject *py_fill(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "fill(volume, pages)");
    kernel_t *k = (kernel_t *)self;
    int64_t volume = arg_i64(args[0]), count = arg_i64(args[1]);
    if (PyErr_Occurred()) return NULL;
    array_t a = array_of(k);
    if (volume < 0 || volume >= k->rows[T_VOLUME] || count < 0 ||
        (a.state->page_count + (uint64_t)count) * 2 > a.page_mask)
        return PyErr_Format(PyExc_ValueError, "no such volume, or no room for its pages");
    volume_t *v = &a.volume[volume];
    Py_BEGIN_ALLOW_THREADS
    pages_fill(a.page, a.page_mask, (uint32_t)volume, &a.pool[v->pool], (uint64_t)count);
    Py_END_ALLOW_THREADS
    a.pool[v->pool].allocated_pages += (uint64_t)count;
    v->allocated_pages += (uint64_t)count;
    a.state->page_count += (uint64_t)count;
    return PyLong_FromLongLong(count);
}

/* Sends an event of one ITL, which leaves the array at a time. */
static PyObject *py_send_event(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 5)
        return PyErr_Format(PyExc_TypeError, "send_event(time_ns, id, cause, itl, code)");
    kernel_t *k = (kernel_t *)self;
    array_t a = array_of(k);
    uint64_t id = PyLong_AsUnsignedLongLong(args[1]), cause = PyLong_AsUnsignedLongLong(args[2]);
    int64_t time = arg_i64(args[0]), itl = arg_i64(args[3]), code = arg_i64(args[4]);
    if (PyErr_Occurred()) return NULL;
    if (itl < 0 || itl >= a.state->itl_count || a.state->out_end >= k->rows[T_OUT])
        return PyErr_Format(PyExc_ValueError, "no such ITL, or no room for an event");
    time += a.port[a.itl[itl].port].return_ns;
    *out_place(&a) = (completion_t){.time = time, .id = id, .array_ns = cause,
                                    .nexus = (uint32_t)itl, .sense = (uint32_t)code,
                                    .kind = KIND_EVENT};
    emit(&a);
    if (a.state->out_disorder) out_sort(&a);
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"exchange", (PyCFunction)(void (*)(void))py_exchange, METH_FASTCALL,
     "exchange(until_ns, batch, count) -> (need, ready, next_ns, notes)"},
    {"run_to", (PyCFunction)(void (*)(void))py_run_to, METH_FASTCALL,
     "run_to(time_ns, batch, count) -> (need, notes)"},
    {"start", py_start, METH_O, "start(now_ns)"},
    {"grow", py_grow, METH_O, "grow(first_new_row)"},
    {"copy_pages", (PyCFunction)(void (*)(void))py_copy_pages, METH_FASTCALL,
     "copy_pages(table, without_volume) -> pages"},
    {"fill", (PyCFunction)(void (*)(void))py_fill, METH_FASTCALL, "fill(volume, pages) -> pages"},
    {"send_event", (PyCFunction)(void (*)(void))py_send_event, METH_FASTCALL,
     "send_event(time_ns, id, cause, itl, code)"},
    {NULL, NULL, 0, NULL}};

#define STATE_ROW(type, field) ROW("state", array_state_t, field)
#define PORT_ROW(type, field) ROW("port", port_t, field)
#define CONTROLLER_ROW(type, field) ROW("controller", controller_t, field)
#define POOL_ROW(type, field) ROW("pool", pool_t, field)
#define VOLUME_ROW(type, field) ROW("volume", volume_t, field)
#define ITL_ROW(type, field) ROW("itl", itl_t, field)
#define IO_ROW(type, field) ROW("io", io_t, field)
#define PAGE_ROW(type, field) ROW("page", page_t, field)
static const field_decl_t FIELDS[] = {
    STATE_FIELDS(STATE_ROW) PORT_FIELDS(PORT_ROW) CONTROLLER_FIELDS(CONTROLLER_ROW)
    POOL_FIELDS(POOL_ROW) VOLUME_FIELDS(VOLUME_ROW) ITL_FIELDS(ITL_ROW)
    IO_FIELDS(IO_ROW) PAGE_FIELDS(PAGE_ROW) NOTE_FIELDS(NOTE_ROW)
    FAULT_FIELDS(FAULT_ROW) CHAIN_FIELDS(CHAIN_ROW)};

KERNEL_MODULE(array, "The array's event loop.", TABLES, T_COUNT, METHODS, FIELDS)
