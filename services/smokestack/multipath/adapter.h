/* Adapter queues: a host's initiators, each with so many commands out at most (AQLEN: FACTS 2.2).
 *
 * A command comes here with its place in the device and its path, as in a driver, below the LUN
 * queue.  When the adapter is full it waits its turn, first in, first out over all devices.
 */
#ifndef SMOKESTACK_MULTIPATH_ADAPTER_H
#define SMOKESTACK_MULTIPATH_ADAPTER_H

#include "context.h"
#include "probe.h"

/* When a command that is out times out, if ever; no sooner than it can be answered.  It keeps the
 * time-out that it left with, as a request does on Linux. */
static inline int64_t deadline_of(const mp_t *m, const slot_t *s) {
    int64_t timeout = m->timeout[s->next], least = m->state->lookahead_ns;
    if (!timeout) return NEVER_NS;
    return s->dispatch_ns + (timeout > least ? timeout : least);
}

/* The place of what leaves for an array now, in the order of its batch. */
static inline submission_t *wire_place(mp_t *m, uint32_t array, uint64_t id, int64_t now) {
    submission_t *batch = &m->dispatch[(size_t)array * m->state->dispatch_rows];
    uint32_t at = m->counts[array]++;
    for (; at > 0 && batch[at - 1].time == now && batch[at - 1].id > id; at--)
        batch[at] = batch[at - 1];
    if (m->dispatched_ns == NEVER_NS) m->dispatched_ns = now;
    return &batch[at];
}

/* The vm of a copy from another device, as its path's array is to have it: with a nexus of it. */
static __attribute__((noinline, cold)) uint32_t copy_nexus(
    const mp_t *m, uint32_t vm, uint32_t array) {
    uint32_t device = vm & ~COPY_FROM;
    if (device >= m->state->device_count) return COPY_FROM | COPY_NOWHERE;
    const device_t *d = &m->device[device];
    for (uint32_t n = 0; n < d->path_count; n++) {
        const path_t *path = &m->path[m->order[d->order_base + n].sorted];
        if (path->array == array) return COPY_FROM | path->itl;
    }
    return COPY_FROM | COPY_NOWHERE;
}

/* Whether SET TARGET PORT GROUPS goes before: there is no better group, or it is to be this one. */
static inline int asks_for_volume(const mp_t *m, const path_t *path) {
    if (path->access == ACCESS_STATE_STANDBY || path->access == ACCESS_STATE_UNAVAILABLE) return 1;
    return path->access == ACCESS_STATE_NON_OPTIMIZED && path->preferred &&
           m->failback[path->device].on;
}

/* Puts a command on the wire. */
static void send(mp_t *m, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    const path_t *path = &m->path[s->path];
    uint64_t id = s->id, lba = lba_of(s);
    uint32_t length = s->length, itl = path->itl, vm = m->world[s->world].vm;
    uint8_t flags = (uint8_t)(s->lba >> LBA_BITS);
    if (s->op == OP_COPY && vm & COPY_FROM) vm = copy_nexus(m, vm, path->array);
    if (path->access > ACCESS_STATE_OPTIMIZED && asks_for_volume(m, path))
        flags |= FLAG_SET_GROUPS;
    *wire_place(m, path->array, id, now) =
        (submission_t){now, id, lba, length, itl, vm, s->attempt, s->op, flags};
    s->phase = PHASE_IN_FLIGHT;
    s->dispatch_ns = now;
    s->next = m->state->timeout;
    if (m->state->timeouts && deadline_of(m, s) < m->state->timer_ns)
        m->state->timer_ns = deadline_of(m, s);
    if (m->state->probing) probe_sent(m, s, now);
}

static void adapter_hold(mp_t *m, adapter_t *a, uint32_t i) {
    m->slot[i].next = NIL;
    m->slot[i].phase = PHASE_HELD;
    if (a->head == NIL) a->head = i;
    else m->slot[a->tail].next = i;
    a->tail = i;
    a->queued++;
    m->state->held_count++;
}

/* Has a command wait for its path's transport. */
static void path_hold(mp_t *m, uint32_t i) {
    health_t *h = &m->health[m->slot[i].path];
    m->slot[i].next = NIL;
    m->slot[i].phase = PHASE_BLOCKED;
    if (h->head == NIL) h->head = i;
    else m->slot[h->tail].next = i;
    h->tail = i;
}

/* Sends a command that has a path, or holds it until the path's transport is back, or until its
 * adapter has a place. */
static inline void adapter_send(mp_t *m, uint32_t i, int64_t now) {
    const path_t *path = &m->path[m->slot[i].path];
    adapter_t *a = &m->adapter[path->adapter];
    if (path->blocked) {
        path_hold(m, i);
        return;
    }
    if (a->active >= a->depth) {
        adapter_hold(m, a, i);
        return;
    }
    a->active++;
    send(m, i, now);
}

/* Sends what an adapter's free places allow. */
static void adapter_serve(mp_t *m, adapter_t *a, int64_t now) {
    while (a->queued && a->active < a->depth) {
        uint32_t i = a->head;
        a->head = m->slot[i].next;
        if (a->head == NIL) a->tail = NIL;
        a->queued--;
        m->state->held_count--;
        a->active++;
        send(m, i, now);
    }
}

/* The same where it may have been told to. */
static inline void adapter_stirred(mp_t *m, adapter_t *a, int64_t now) {
    if (!a->stirred) return;
    a->stirred = 0;
    adapter_serve(m, a, now);
}

/* A command of this path has left the wire. */
static inline void adapter_release(mp_t *m, const path_t *path, int64_t now) {
    adapter_t *a = &m->adapter[path->adapter];
    a->active--;
    if (a->queued) adapter_serve(m, a, now);
}

/* Takes a held command out of the middle of its adapter's queue. */
static void adapter_drop(mp_t *m, adapter_t *a, uint32_t i) {
    uint32_t last = NIL;
    for (uint32_t *at = &a->head; *at != NIL; last = *at, at = &m->slot[*at].next) {
        if (*at != i) continue;
        *at = m->slot[i].next;
        if (a->tail == i) a->tail = last;
        break;
    }
    a->queued--;
    m->state->held_count--;
}

#endif
