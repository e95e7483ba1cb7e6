/* Paths that are lost, and those whose loss their host does not know of yet.
 *
 * Without a checker (specs.PathChecker) a host knows at once what becomes of its paths.  With one
 * it finds out as dm-multipath does: a command fails for want of the transport, or a check does
 * (FACTS 3.2).  Such a path is silent until then.
 */
#ifndef SMOKESTACK_MULTIPATH_SILENCE_H
#define SMOKESTACK_MULTIPATH_SILENCE_H

#include "access.h"
#include "losses.h"

static inline void next_timer(mp_t *m, int64_t time) {
    if (time < m->state->timer_ns) m->state->timer_ns = time;
}

static inline int is_checked(const mp_t *m, const path_t *path) {
    return m->state->caring && m->care[path->device].checker == CHECKER_TUR;
}

static inline int is_cut(const path_t *path) { return path->links_down || path->target_down; }

/* Whether a command would fail for want of the transport; one on a blocked path waits. */
static inline int is_silent(const path_t *path) { return is_cut(path) && !path->blocked; }

/* Has a path checked after the shortest interval, now that it has failed. */
static void check_soon(mp_t *m, uint32_t p, int64_t now) {
    health_t *h = &m->health[p];
    if (!is_checked(m, &m->path[p])) return;
    h->interval_ns = m->care[m->path[p].device].polling_ns;
    if (h->out || h->due_ns <= now + h->interval_ns) return;
    h->due_ns = now + h->interval_ns;
    next_timer(m, h->due_ns);
}

/* Lets go of a check that nobody will answer. */
static void check_forget(mp_t *m, uint32_t p, int64_t now) {
    health_t *h = &m->health[p];
    if (!h->out) return;
    h->out = 0;
    h->again_ns = 0;
    h->due_ns = now + h->interval_ns;
    next_timer(m, h->due_ns);
}

/* Has an array's process that is gone be all that there is to say of a path. */
static inline void transport_forget(mp_t *m, uint32_t p) {
    m->path[p].blocked = 0;
    m->health[p].fail_ns = m->health[p].loss_ns = 0;
}

static void path_lost(mp_t *m, uint32_t p, note_t note) {
    path_t *path = &m->path[p];
    device_t *d = &m->device[path->device];
    if (path->state == PATH_DEAD) return;
    if (is_alive(path->state)) path->failovers++;
    set_path_state(m, p, PATH_DEAD, note.time);
    note.subject = p;
    uint64_t number = note_take(m->note, &m->state->note_count, &m->state->event_count, note);
    if (!d->cut_off && d->path_count && !reachable(m, d))
        begin_loss(m, path->device, note.time, number);
    check_soon(m, p, note.time);
}

/* What there is to say of a checked path that has failed: what took its transport down, if that
 * is known, or else this. */
static inline note_t failure(const mp_t *m, uint32_t p, note_t otherwise) {
    const health_t *h = &m->health[p];
    if (!h->down) return otherwise;
    return (note_t){.time = otherwise.time, .kind = h->down_kind, .cause = h->down};
}

/* A command of a checked path has failed on the way: the path is lost until a check finds it. */
static void io_failed(mp_t *m, uint32_t p, uint32_t host_status, int64_t now) {
    if (!is_checked(m, &m->path[p])) return;
    note_t note = {.time = now, .kind = NOTE_IO_FAILED, .detail = host_status};
    path_lost(m, p, failure(m, p, note));
}

/* The path for a command.  One that turns out to be silent takes none, and is lost with that. */
static inline uint32_t reach(mp_t *m, uint32_t device, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    uint32_t p = choose(m, device, s, now);
    while (p != NIL && is_silent(&m->path[p]) && is_checked(m, &m->path[p])) {
        s->path = p;
        s->dispatch_ns = now;
        ended(m, s, now, 0, 0);
        m->path[p].errors++;
        io_failed(m, p, HOST_NO_CONNECT, now);
        p = choose(m, device, s, now);
    }
    return p;
}

#endif
