/* Paths that events take and give back, and arrays whose process is gone. */
#ifndef SMOKESTACK_MULTIPATH_PATHS_H
#define SMOKESTACK_MULTIPATH_PATHS_H

#include "queues.h"

/* Takes a command off a path that is lost; one that is held has not been sent yet. */
static void take_back(mp_t *m, uint32_t i, path_t *path, device_t *d, int64_t now) {
    slot_t *s = &m->slot[i];
    adapter_t *a = &m->adapter[path->adapter];
    undispatch(m, s, path, d);
    ended(m, s, now, 0, 0);
    if (s->phase == PHASE_HELD) adapter_drop(m, a, i);
    if (s->phase == PHASE_HELD || s->phase == PHASE_BLOCKED) return;
    a->active--;
    s->attempt++;
    path->errors++;
    detour(m, i, now);
}

/* Every command on the path that is unanswered, or whose answer is on its way across a fabric if
 * those count as lost, too, goes back to the head of its queue, in order of id. */
static void requeue_path(mp_t *m, uint32_t p, int64_t now, int answers_too) {
    path_t *path = &m->path[p];
    device_t *d = &m->device[path->device];
    uint32_t list = NIL;
    for (uint32_t i = 0; i < m->slot_rows; i++) {
        slot_t *s = &m->slot[i];
        int sent = s->phase == PHASE_IN_FLIGHT || s->phase == PHASE_ABORTING ||
                   (answers_too && (s->phase == PHASE_ANSWERED || s->phase == PHASE_ABORTED));
        int held = s->phase == PHASE_HELD || s->phase == PHASE_BLOCKED;
        if ((!sent && !held) || s->path != p) continue;
        take_back(m, i, path, d, now);
        uint32_t *at = &list; /* descending, so that rejoining one by one leaves it ascending */
        while (*at != NIL && m->slot[*at].id > s->id) at = &m->slot[*at].next;
        s->next = *at;
        *at = i;
    }
    while (list != NIL) {
        uint32_t next = m->slot[list].next;
        d->retries++;
        queue_rejoin(m, d, list, now);
        list = next;
    }
    m->health[p].head = m->health[p].tail = NIL;
    m->adapter[path->adapter].stirred = 1;
}

static void path_found(mp_t *m, uint32_t p, note_t note) {
    path_t *path = &m->path[p];
    device_t *d = &m->device[path->device];
    if (path->state != PATH_DEAD || path->gone) return;
    set_path_state(m, p, path->disabled ? PATH_DISABLED : PATH_ACTIVE, note.time);
    note.subject = p;
    uint64_t number = note_take(m->note, &m->state->note_count, &m->state->event_count, note);
    if (d->cut_off && reachable(m, d)) end_loss(m, path->device, note.time, number);
}

/* A path answered that there is no such unit: nothing more is sent on it. */
static void unit_gone(mp_t *m, uint32_t p, const completion_t *c) {
    path_t *path = &m->path[p];
    device_t *d = &m->device[path->device];
    path->gone = 1;
    path->errors++;
    path_lost(m, p, (note_t){.time = c->time, .kind = NOTE_UNIT_GONE, .cause = c->cause,
                             .detail = c->sense});
    if (d->state != DEVICE_ON && d->state != DEVICE_PDL && all_gone(m, d))
        lose_for_good(m, path->device, c->time, d->cut_off);
}

/* Whether an event takes its path down: the port's, or one of a link on the way. */
static inline int takes_down(const completion_t *c) {
    return c->sense == EVENT_PATH_DOWN || c->sense == EVENT_LINK_DOWN;
}

/* Whether a record in hand says that a device's reset, which is out, is complete. */
static inline int ends_reset(const mp_t *m, uint32_t device, const completion_t *c) {
    const recovery_t *r = &m->recovery[device];
    return c->attempt == RESET_ATTEMPT && r->function && c->id == r->id && c->time == r->answer_ns;
}

/* When the next record in hand takes a path down, or all that is in flight on it back: what answers
 * on it after that comes too late.  (Across a fabric `landed` sees to resets.) */
static int64_t next_down(const mp_t *m, uint32_t p) {
    if (m->path[p].lost) return 0; /* what its array had answered counts */
    for (uint32_t n = m->taken; n < m->state->hand_count; n++) {
        const completion_t *c = &m->hand[n];
        if (c->kind == KIND_EVENT && c->nexus == p && takes_down(c)) return c->time;
        if (c->kind == KIND_TASK && !m->state->fabric_limits &&
            ends_reset(m, m->path[p].device, c))
            return c->time;
    }
    return 0;
}

static void transport_down(mp_t *m, uint32_t p, note_t note);
static void transport_up(mp_t *m, uint32_t p, note_t note);

static void path_event(mp_t *m, const completion_t *c) {
    uint32_t p = c->nexus; /* accept has put the path's row in the ITL's place */
    if (p == NIL) return; /* of an ITL that no rescan has found */
    path_t *path = &m->path[p];
    int link = c->sense == EVENT_LINK_DOWN || c->sense == EVENT_LINK_UP;
    if (link) path->links_down += c->sense == EVENT_LINK_DOWN ? 1u : -1u;
    if (path->lost) return; /* too late */
    if (!link) path->target_down = c->sense == EVENT_PATH_DOWN;
    note_t note = {.time = c->time, .cause = c->array_ns};
    if (takes_down(c)) {
        note.kind = link ? NOTE_PATH_LOST : NOTE_PATH_DOWN;
        path->down_ns = next_down(m, p);
        transport_down(m, p, note);
        adapter_stirred(m, &m->adapter[m->path[p].adapter], c->time);
    } else if (!is_cut(path)) {
        note.kind = link ? NOTE_PATH_FOUND : NOTE_PATH_UP;
        transport_up(m, p, note);
    }
    pump(m, m->path[p].device, c->time);
}

/* Puts an event of a link in hand, for a path that crosses it, among what is still to be told. */
static void link_event(mp_t *m, const completion_t *event) {
    mp_state_t *s = m->state;
    path_t *path = &m->path[event->nexus];
    uint32_t at = s->hand_count++;
    for (; at > s->hand_told && before(event, &m->hand[at - 1]); at--)
        m->hand[at] = m->hand[at - 1];
    m->hand[at] = *event;
    if (at < s->hand_fresh) s->hand_fresh++; /* those have crossed their fabric already */
    if (takes_down(event) && !path->lost && (path->down_ns == 0 || event->time < path->down_ns))
        path->down_ns = event->time;
    if (event->time < s->arrays_next_ns) s->arrays_next_ns = event->time;
}

/* A device's reset is over, or will never be. */
static void forget_reset(mp_t *m, uint32_t device) {
    recovery_t *r = &m->recovery[device];
    r->function = 0;
    r->id = 0;
    r->answer_ns = 0;
    m->device[device].recovering = 0;
    m->state->recovering--;
    fit_limit(&m->device[device]);
}

/* An array is gone at a border: its paths die together, then what hung on them is failed. */
static void lose_array(mp_t *m, uint32_t array, int64_t now, uint64_t cause) {
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        device_t *d = &m->device[device];
        const order_t *order = &m->order[d->order_base];
        const recovery_t *r = &m->recovery[device];
        if (r->function && m->path[r->path].array == array && !r->answer_ns)
            forget_reset(m, device);
        for (uint32_t i = 0; i < d->path_count; i++) {
            if (m->path[order[i].sorted].array != array) continue;
            path_lost(m, order[i].sorted,
                      (note_t){.time = now, .kind = NOTE_PATH_LOST, .cause = cause});
            m->path[order[i].sorted].lost = 1;
            transport_forget(m, order[i].sorted);
            check_forget(m, order[i].sorted, now);
        }
        for (uint32_t i = 0; i < d->path_count; i++)
            if (m->path[order[i].sorted].array == array)
                requeue_path(m, order[i].sorted, now, 0);
        pump(m, device, now); /* has no path left: what it has fails */
    }
    m->state->stirred = 2; /* adapters have places for other arrays' devices */
}

#endif
