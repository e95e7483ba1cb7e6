/* Device queues: what waits, what is sent and on which path, and what no array will answer. */
#ifndef SMOKESTACK_MULTIPATH_QUEUES_H
#define SMOKESTACK_MULTIPATH_QUEUES_H

#include "adapter.h"
#include "losses.h"
#include "access.h"
#include "mclock.h"
#include "silence.h"

static inline void queue_append(mp_t *m, device_t *d, uint32_t i) {
    m->slot[i].next = NIL;
    m->slot[i].phase = PHASE_QUEUED;
    if (d->queue_tail == NIL) d->queue_head = i;
    else m->slot[d->queue_tail].next = i;
    d->queue_tail = i;
    d->queued++;
}

static inline void queue_return(mp_t *m, device_t *d, uint32_t i) {
    m->slot[i].next = d->queue_head;
    m->slot[i].phase = PHASE_QUEUED;
    if (d->queue_head == NIL) d->queue_tail = i;
    d->queue_head = i;
    d->queued++;
}

static inline void queue_rejoin(mp_t *m, device_t *d, uint32_t i, int64_t now) {
    m->slot[i].time = now;
    queue_return(m, d, i);
}

static inline uint32_t queue_take(mp_t *m, device_t *d) {
    uint32_t i = d->queue_head;
    d->queue_head = m->slot[i].next;
    if (d->queue_head == NIL) d->queue_tail = NIL;
    d->queued--;
    return i;
}

/* A command rejoins its queue: since its dispatch it has been elsewhere. */
static inline void detour(mp_t *m, uint32_t i, int64_t now) {
    const slot_t *s = &m->slot[i];
    m->detour[i] = (s->attempt > 1 ? m->detour[i] : 0) + now - s->dispatch_ns;
}

/* Completes a command that no array will answer, or of a device that is lost, whose arrays have
 * answered: it reaches the submitter one lookahead later. */
static void bear(mp_t *m, uint64_t id, uint16_t attempt, uint32_t device, int64_t cause_ns) {
    completion_t record = {.time = cause_ns + m->state->lookahead_ns, .id = id, .nexus = device,
                           .attempt = attempt, .status = HOST_NO_CONNECT, .kind = KIND_HOST};
    if (device < m->state->device_count) {
        const device_t *d = &m->device[device];
        record.cause = note_cause(d->cut_off);
        if (d->state == DEVICE_PDL) record.sense = SENSE_LU_NOT_SUPPORTED;
    }
    uint32_t at = m->state->born_count++;
    for (; at > 0 && m->born[at - 1].time == record.time && m->born[at - 1].id > id; at--)
        m->born[at] = m->born[at - 1];
    m->born[at] = record;
}

/* Gives a command its place in the device and its path. */
static void dispatch(mp_t *m, uint32_t i, uint32_t p, int64_t now) {
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[p];
    m->device[s->device].active++;
    m->world[s->world].active++;
    s->path = p;
    s->dispatch_ns = now; /* should its adapter hold it, until it is sent */
    path->in_flight++;
    path->in_flight_bytes += s->length;
    path->dispatched++;
    adapter_send(m, i, now);
}

/* Takes both back, from a command that is answered, or lost with its path. */
static inline void undispatch(mp_t *m, const slot_t *s, path_t *path, device_t *d) {
    d->active--;
    m->world[s->world].active--;
    path->in_flight--;
    path->in_flight_bytes -= s->length;
}

/* A command that is not answered by an array leaves the host. */
static void fail(mp_t *m, uint32_t i, device_t *d, int64_t now) {
    slot_t *s = &m->slot[i];
    d->no_connect++;
    d->errors++;
    world_leave(m, d, s->world);
    bear(m, s->id, s->attempt, s->device, now);
    s->phase = PHASE_FREE;
}

/* Sends what the device's depth allows; a command without a path fails or waits. */
static void pump(mp_t *m, uint32_t device, int64_t now) {
    device_t *d = &m->device[device];
    mclock_undo_t undo = {.world = NIL};
    while (d->queued && d->active < d->limit) {
        uint32_t i = d->mclock ? mclock_take(m, d, now, &undo) : queue_take(m, d);
        if (i == NIL) return;
        uint32_t path = reach(m, device, i, now);
        if (path != NIL) {
            dispatch(m, i, path, now);
        } else if (waits(m, d)) {
            mclock_undo(m, d, &undo);
            queue_return(m, d, i);
            return;
        } else {
            fail(m, i, d, now);
        }
    }
}

/* At a border, before anything else then: what a change lets adapters and devices send. */
static void pump_stirred(mp_t *m) {
    for (uint32_t n = 0; n < m->state->adapter_count; n++)
        adapter_stirred(m, &m->adapter[n], m->state->until_ns);
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        if (!m->device[device].stirred) continue;
        m->device[device].stirred = 0;
        pump(m, device, m->state->until_ns);
    }
    m->state->stirred = 0;
}

static void submit(mp_t *m, const submission_t *in) {
    uint32_t i = (uint32_t)(in->id >> SLOT_SHIFT);
    if (in->nexus >= m->state->device_count) {
        bear(m, in->id, 0, in->nexus, in->time);
        return;
    }
    device_t *d = &m->device[in->nexus];
    uint32_t world = world_of(m, &m->slot[i], in);
    m->slot[i] = (slot_t){.time = in->time, .id = in->id, .submit_ns = in->time,
                          .lba = in->lba | (uint64_t)in->flags << LBA_BITS,
                          .length = in->length, .device = in->nexus, .world = world,
                          .op = in->op};
    world_enter(m, d, world);
    queue_append(m, d, i);
    pump(m, in->nexus, in->time);
}

#endif
