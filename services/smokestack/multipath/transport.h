/* What a path's transport does: remote ports as Linux's FC transport class has them (FACTS 3.2).
 *
 * While its port or a link is down a path is blocked for `fast_fail_ns`: what it had sent and what
 * is still given to it waits there, for its host takes it for usable, and leaves again when the
 * transport is back.  Then the commands fail (fast_io_fail_tmo), and leave on other paths.  With no
 * such time they do so at once.  After `loss_ns` without transport the path is removed
 * (dev_loss_tmo): nothing checks it any more, and the port's next login finds it anew.
 */
#ifndef SMOKESTACK_MULTIPATH_TRANSPORT_H
#define SMOKESTACK_MULTIPATH_TRANSPORT_H

#include "checkers.h"

/* A checked path's transport is down: its commands fail at once, and that is how its host knows.
 * While there are none it takes the path for what it was, until one comes, or a check. */
static void fall_silent(mp_t *m, uint32_t p, note_t note) {
    if (m->path[p].in_flight) path_lost(m, p, note);
    if (m->health[p].out) check_ends(m, p, CHECK_DOWN, SENSE_NONE, note.time);
}

/* Fails the commands of a path without transport. */
static void transport_fails(mp_t *m, uint32_t p, note_t note) {
    if (is_checked(m, &m->path[p])) fall_silent(m, p, note);
    else path_lost(m, p, note);
    requeue_path(m, p, note.time, 1);
}

/* Has a command that was sent, or that its adapter holds, wait for the transport. */
static void park(mp_t *m, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[s->path];
    adapter_t *a = &m->adapter[path->adapter];
    if (s->phase == PHASE_HELD) {
        adapter_drop(m, a, i);
    } else {
        a->active--;
        a->stirred = 1;
        s->attempt++;
        path->errors++;
        m->device[s->device].retries++;
        detour(m, i, now);
    }
    path_hold(m, i);
}

static void transport_blocks(mp_t *m, uint32_t p, note_t note) {
    health_t *h = &m->health[p];
    h->head = h->tail = NIL;
    h->fail_ns = note.time + m->care[m->path[p].device].fast_fail_ns;
    next_timer(m, h->fail_ns);
    m->path[p].blocked = 1;
    for (uint32_t i = 0; i < m->slot_rows; i++) { /* slots' order is ids' */
        const slot_t *s = &m->slot[i];
        int sent = s->phase == PHASE_IN_FLIGHT || s->phase == PHASE_ANSWERED ||
                   s->phase == PHASE_ABORTING || s->phase == PHASE_ABORTED;
        if ((sent || s->phase == PHASE_HELD) && s->path == p) park(m, i, note.time);
    }
    NOTE(m->state, m->note, .time = note.time, .kind = NOTE_BLOCKED, .subject = p,
         .cause = note.cause, .detail = note.kind);
    if (h->out) check_ends(m, p, CHECK_PENDING, SENSE_NONE, note.time);
}

static void transport_down(mp_t *m, uint32_t p, note_t note) {
    const path_t *path = &m->path[p];
    const care_t *care = &m->care[path->device];
    health_t *h = &m->health[p];
    if (!h->down) {
        h->down = note.cause;
        h->down_kind = note.kind;
    }
    if (care->fast_fail_ns && !path->blocked && path->state != PATH_DEAD)
        transport_blocks(m, p, note);
    else if (!path->blocked) transport_fails(m, p, note);
    if (!care->loss_ns || h->loss_ns || h->removed) return;
    h->loss_ns = note.time + care->loss_ns;
    next_timer(m, h->loss_ns);
}

static void transport_unblocks(mp_t *m, uint32_t p, note_t note) {
    health_t *h = &m->health[p];
    uint32_t i = h->head;
    h->fail_ns = 0;
    h->head = h->tail = NIL;
    m->path[p].blocked = 0;
    NOTE(m->state, m->note, .time = note.time, .kind = NOTE_UNBLOCKED, .subject = p,
         .cause = note.cause, .detail = note.kind);
    while (i != NIL) {
        uint32_t next = m->slot[i].next;
        adapter_send(m, i, note.time);
        i = next;
    }
}

static void transport_up(mp_t *m, uint32_t p, note_t note) {
    health_t *h = &m->health[p];
    h->down = 0;
    h->loss_ns = 0;
    if (m->path[p].blocked) {
        transport_unblocks(m, p, note);
    } else if (h->removed) {
        h->removed = 0;
        h->verdict = CHECK_UNCHECKED;
        NOTE(m->state, m->note, .time = note.time, .kind = NOTE_ADDED, .subject = p,
             .cause = note.cause, .detail = note.kind);
        path_found(m, p, note);
        if (!is_checked(m, &m->path[p])) return;
        h->interval_ns = m->care[m->path[p].device].polling_ns;
        h->due_ns = note.time + h->interval_ns;
        next_timer(m, h->due_ns);
    } else if (!is_checked(m, &m->path[p])) {
        path_found(m, p, note);
    }
}

/* A path has been blocked for as long as it may be. */
static void transport_times_out(mp_t *m, uint32_t p, int64_t now) {
    health_t *h = &m->health[p];
    note_t note = {.time = now, .kind = h->down_kind, .cause = h->down};
    if (!is_cut(&m->path[p])) { /* a rescan knows, and the event is on its way */
        transport_unblocks(m, p, note);
    } else {
        h->fail_ns = 0;
        m->path[p].blocked = 0;
        transport_fails(m, p, note);
        adapter_stirred(m, &m->adapter[m->path[p].adapter], now);
    }
    pump(m, m->path[p].device, now);
}

/* A path has been without transport for so long that its host lets go of it. */
static void transport_removes(mp_t *m, uint32_t p, int64_t now) {
    health_t *h = &m->health[p];
    h->loss_ns = 0;
    if (!is_cut(&m->path[p])) return;
    note_t note = {.time = now, .kind = h->down_kind, .cause = h->down};
    NOTE(m->state, m->note, .time = now, .kind = NOTE_REMOVED, .subject = p,
         .cause = h->down, .detail = h->down_kind);
    path_lost(m, p, note);
    h->removed = 1;
    h->due_ns = 0;
    pump(m, m->path[p].device, now);
}

static void transport_due(mp_t *m, int64_t now) {
    for (uint32_t p = 0; p < m->health_rows; p++) {
        health_t *h = &m->health[p];
        if (h->fail_ns && h->fail_ns <= now) transport_times_out(m, p, now);
        if (h->loss_ns && h->loss_ns <= now) transport_removes(m, p, now);
        if (h->fail_ns) next_timer(m, h->fail_ns);
        if (h->loss_ns) next_timer(m, h->loss_ns);
    }
}

#endif
