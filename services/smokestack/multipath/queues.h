/* Device queues: what waits, what is sent and on which path, and what no array will answer. */
#ifndef SMOKESTACK_MULTIPATH_QUEUES_H
#define SMOKESTACK_MULTIPATH_QUEUES_H

#include "selection.h"

static inline void queue_append(mp_t *m, device_t *d, uint32_t i) {
    m->slot[i].next = NIL;
    m->slot[i].phase = PHASE_QUEUED;
    if (d->queue_tail == NIL) d->queue_head = i;
    else m->slot[d->queue_tail].next = i;
    d->queue_tail = i;
    d->queued++;
}

static inline void queue_rejoin(mp_t *m, device_t *d, uint32_t i) {
    m->slot[i].next = d->queue_head;
    m->slot[i].phase = PHASE_QUEUED;
    if (d->queue_head == NIL) d->queue_tail = i;
    d->queue_head = i;
    d->queued++;
}

static inline uint32_t queue_take(mp_t *m, device_t *d) {
    uint32_t i = d->queue_head;
    d->queue_head = m->slot[i].next;
    if (d->queue_head == NIL) d->queue_tail = NIL;
    d->queued--;
    return i;
}

/* Completes a command that no array will answer; it reaches the submitter one lookahead later. */
static void bear(mp_t *m, uint64_t id, uint16_t attempt, uint32_t device, int64_t cause_ns) {
    completion_t record = {.time = cause_ns + m->state->lookahead_ns, .id = id, .nexus = device,
                           .attempt = attempt, .status = HOST_NO_CONNECT, .kind = KIND_HOST};
    if (device < m->state->device_count) record.cause = note_cause(m->device[device].cut_off);
    uint32_t at = m->state->born_count++;
    for (; at > 0 && m->born[at - 1].time == record.time && m->born[at - 1].id > id; at--)
        m->born[at] = m->born[at - 1];
    m->born[at] = record;
}

static void dispatch(mp_t *m, uint32_t i, uint32_t p, int64_t now) {
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[p];
    uint64_t id = s->id, lba = s->lba;
    uint32_t length = s->length, itl = path->itl, vm = s->vm;
    submission_t *batch = &m->dispatch[(size_t)path->array * m->state->dispatch_rows];
    uint32_t at = m->counts[path->array]++;
    for (; at > 0 && batch[at - 1].time == now && batch[at - 1].id > id; at--)
        batch[at] = batch[at - 1];
    batch[at] = (submission_t){now, id, lba, length, itl, vm, s->attempt, s->op, 0};
    if (m->dispatched_ns == NEVER_NS) m->dispatched_ns = now;
    s->path = p;
    s->phase = PHASE_IN_FLIGHT;
    s->dispatch_ns = now;
    path->in_flight++;
    path->in_flight_bytes += s->length;
    path->dispatched++;
}

/* Sends what the device's depth allows; a command without a path is failed at once. */
static void pump(mp_t *m, uint32_t device, int64_t now) {
    device_t *d = &m->device[device];
    while (d->queued && d->active < d->depth) {
        uint32_t i = queue_take(m, d);
        uint32_t path = choose(m, device, &m->slot[i], now);
        if (path == NIL) {
            d->no_connect++;
            d->errors++;
            bear(m, m->slot[i].id, m->slot[i].attempt, device, now);
            m->slot[i].phase = PHASE_FREE;
        } else {
            d->active++;
            dispatch(m, i, path, now);
        }
    }
}

/* At a border, before anything else then: what a change lets devices send. */
static void pump_stirred(mp_t *m) {
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
    m->slot[i] = (slot_t){.id = in->id, .lba = in->lba, .submit_ns = in->time,
                          .length = in->length, .device = in->nexus, .vm = in->vm, .op = in->op};
    queue_append(m, d, i);
    pump(m, in->nexus, in->time);
}

#endif
