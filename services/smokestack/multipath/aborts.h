/* Commands that are not answered in time: aborts, and what follows when those are not answered.
 *
 * As SCSI error handlers do (Linux: Documentation/scsi/scsi_eh.rst), by steps of which each has
 * `task_timeout_ns` to be answered in: ABORT TASK on the command's path, LOGICAL UNIT RESET and
 * then TARGET RESET on it, and at last the path is given up for dead.  `escalation` is the last
 * step that is taken; it is repeated, unless it is the path.  That nothing else of the device is
 * sent while it is being reset is as there; that it goes by single devices, and not by adapters,
 * is ours.
 *
 * A command is sent again when its abort is answered.  When a reset is, all that the device has out
 * is sent again, on whatever path: the array has dropped it, or will be answered too late.  From
 * its time-out on nothing that answers a command counts, as before.
 */
#ifndef SMOKESTACK_MULTIPATH_ABORTS_H
#define SMOKESTACK_MULTIPATH_ABORTS_H

#include "checkers.h"

enum { ESCALATE_ABORT = 1, ESCALATE_LUN_RESET = 2, ESCALATE_TARGET_RESET = 3,
       ESCALATE_PATH_DOWN = 4 }; /* as specs.Escalation */

/* --- what is sent -------------------------------------------------------------------------- */

/* Puts a task management function on the wire; it takes no place in its adapter.  Its answer brings
 * `word` back.  Returns when it times out, no sooner than it can be answered. */
static int64_t send_task(
    mp_t *m, uint32_t p, uint64_t id, uint32_t attempt, uint32_t op, uint32_t word, int64_t now) {
    const path_t *path = &m->path[p];
    *wire_place(m, path->array, id, now) = (submission_t){
        .time = now, .id = id, .lba = word, .nexus = path->itl, .attempt = (uint16_t)attempt,
        .op = (uint8_t)op};
    int64_t timeout = m->state->task_timeout_ns, least = m->state->lookahead_ns;
    int64_t deadline = now + (timeout > least ? timeout : least);
    next_timer(m, deadline);
    return deadline;
}

static void send_abort(mp_t *m, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    m->path[s->path].aborts++;
    m->world[s->world].aborts++;
    s->next = (uint32_t)++m->recovery[s->device].aborts;
    s->time = send_task(m, s->path, s->id, s->attempt, OP_ABORT_TASK, s->next, now);
}

/* Sends the reset that a device is to have. */
static void send_reset(mp_t *m, uint32_t device, int64_t now) {
    recovery_t *r = &m->recovery[device];
    int unit = r->function == OP_LUN_RESET;
    if (unit) r->lun_resets++;
    else r->target_resets++;
    m->path[r->path].resets++;
    r->told = NOTE(m->state, m->note, .time = now, .subject = device, .cause = r->told,
                   .kind = unit ? NOTE_LUN_RESET : NOTE_TARGET_RESET, .detail = r->path);
    r->id = (r->lun_resets + r->target_resets) << 32 | device;
    r->answer_ns = 0;
    r->deadline_ns =
        send_task(m, r->path, r->id, RESET_ATTEMPT, r->function, note_cause(r->told), now);
}

static void begin_recovery(mp_t *m, uint32_t device, uint32_t p, int64_t now) {
    m->recovery[device].path = p;
    m->recovery[device].function = OP_LUN_RESET;
    m->device[device].recovering = 1;
    m->state->recovering++;
    fit_limit(&m->device[device]);
    send_reset(m, device, now);
}

/* Has a command that has timed out wait for its device's reset: no abort of it counts any more. */
static inline void await_reset(slot_t *s) {
    s->time = NEVER_NS;
    s->next = NIL;
}

/* --- what comes of it ---------------------------------------------------------------------- */

/* Takes one command back that has timed out, to be sent again; its path has failed it. */
static void give_back(mp_t *m, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[s->path];
    device_t *d = &m->device[s->device];
    adapter_t *a = &m->adapter[path->adapter];
    take_back(m, i, path, d, now);
    io_failed(m, s->path, HOST_TIME_OUT, now);
    d->retries++;
    queue_rejoin(m, d, i, now);
    if (a->queued) adapter_serve(m, a, now);
    pump(m, s->device, now);
}

static inline int timed_out(const slot_t *s) {
    return s->phase == PHASE_ABORTING || s->phase == PHASE_ABORTED;
}

/* Whether a command goes back to its queue when its device's reset is over: if the reset helped,
 * all that is out, else what has timed out; and what has not left yet for a path that is dead. */
static inline int returns(const mp_t *m, const slot_t *s, int helped) {
    if (timed_out(s)) return 1;
    if (s->phase == PHASE_HELD) return m->path[s->path].state == PATH_DEAD;
    return helped && (s->phase == PHASE_IN_FLIGHT || s->phase == PHASE_ANSWERED);
}

/* A check's command that is out was dropped by a reset as others were: it is sent again. */
static void check_repeated(mp_t *m, uint32_t p, int64_t now) {
    health_t *h = &m->health[p];
    if (!h->out || h->again_ns) return;
    h->attempt++;
    check_send(m, p, now);
}

/* A device's reset is over, one way or another; its commands go back in order of id. */
static void end_recovery(mp_t *m, uint32_t device, int64_t now, int helped) {
    device_t *d = &m->device[device];
    forget_reset(m, device);
    uint32_t list = NIL;
    for (uint32_t i = 0; i < m->slot_rows; i++) {
        slot_t *s = &m->slot[i];
        if (s->phase == PHASE_FREE || s->device != device || !returns(m, s, helped)) continue;
        path_t *path = &m->path[s->path];
        take_back(m, i, path, d, now);
        m->adapter[path->adapter].stirred = 1;
        uint32_t *at = &list; /* descending */
        while (*at != NIL && m->slot[*at].id > s->id) at = &m->slot[*at].next;
        s->next = *at;
        *at = i;
    }
    for (uint32_t i = list; i != NIL; i = m->slot[i].next)
        if (timed_out(&m->slot[i])) io_failed(m, m->slot[i].path, HOST_TIME_OUT, now);
    while (list != NIL) {
        uint32_t next = m->slot[list].next;
        d->retries++;
        queue_rejoin(m, d, list, now);
        list = next;
    }
    for (uint32_t p = 0; p < m->state->path_count; p++)
        if (m->path[p].device == device) m->path[p].down_ns = next_down(m, p);
    for (uint32_t n = 0; helped && n < d->path_count; n++)
        check_repeated(m, m->order[d->order_base + n].sorted, now);
    for (uint32_t n = 0; n < m->state->adapter_count; n++)
        adapter_stirred(m, &m->adapter[n], now);
    pump(m, device, now);
}

/* Not even the target answers by this path: it is as good as dead. */
static void give_up(mp_t *m, uint32_t device, int64_t now) {
    recovery_t *r = &m->recovery[device];
    r->given_up++;
    note_t note = {.time = now, .kind = NOTE_GIVEN_UP, .cause = r->told};
    path_lost(m, r->path, failure(m, r->path, note));
    end_recovery(m, device, now, 0);
}

/* The path that a device's reset was sent by went down. */
static __attribute__((noinline, cold)) void recovery_lost(mp_t *m, const completion_t *c) {
    if (c->nexus == NIL || !takes_down(c) || m->path[c->nexus].lost) return;
    uint32_t device = m->path[c->nexus].device;
    const recovery_t *r = &m->recovery[device];
    if (r->function && r->path == c->nexus) end_recovery(m, device, c->time, 0);
}

/* Whether an answer to an abort is to the last one: those to others come too late. */
static inline int ends_abort(const slot_t *s, const completion_t *c) {
    return s->phase == PHASE_ABORTED && s->id == c->id && s->attempt == c->attempt &&
           s->next == c->sense;
}

/* A function is complete, of which a host still waits to hear. */
static __attribute__((noinline, cold)) void task_answered(mp_t *m, const completion_t *c) {
    if (c->attempt == RESET_ATTEMPT) {
        uint32_t device = (uint32_t)c->id;
        recovery_t *r = &m->recovery[device];
        if (!ends_reset(m, device, c)) return;
        NOTE(m->state, m->note, .time = c->time, .kind = NOTE_RESET_DONE, .subject = device,
             .cause = r->told);
        end_recovery(m, device, c->time, 1);
        return;
    }
    uint32_t i = (uint32_t)(c->id >> SLOT_SHIFT);
    if (ends_abort(&m->slot[i], c)) give_back(m, i, c->time);
}

/* --- what does not come -------------------------------------------------------------------- */

/* A command has not been answered in time; what answers it still comes too late. */
static __attribute__((noinline, cold)) void command_times_out(mp_t *m, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    device_t *d = &m->device[s->device];
    d->timed_out++;
    m->path[s->path].timed_out++;
    if (d->timed_out_ns != now) {
        d->timed_out_ns = now;
        uint64_t number = NOTE(m->state, m->note, .time = now, .kind = NOTE_TIMED_OUT,
                               .subject = s->device);
        if (!d->recovering) m->recovery[s->device].told = number;
    }
    if (m->path[s->path].state == PATH_DEAD) { /* nobody to ask */
        give_back(m, i, now);
        return;
    }
    s->phase = PHASE_ABORTING;
    if (d->recovering) await_reset(s);
    else send_abort(m, i, now);
}

static void abort_times_out(mp_t *m, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    m->recovery[s->device].unanswered++;
    if (m->device[s->device].recovering) {
        await_reset(s);
    } else if (m->path[s->path].state == PATH_DEAD) {
        give_back(m, i, now);
    } else if (m->state->escalation < ESCALATE_LUN_RESET) {
        send_abort(m, i, now);
    } else {
        await_reset(s);
        begin_recovery(m, s->device, s->path, now);
    }
}

/* What a device's reset comes to when its time is over: it is sent, or the next step follows. */
static void recovery_due(mp_t *m, uint32_t device, int64_t now) {
    recovery_t *r = &m->recovery[device];
    uint32_t most = m->state->escalation;
    if (r->id) {
        r->unanswered++;
        if (r->function == OP_TARGET_RESET && most >= ESCALATE_PATH_DOWN) {
            give_up(m, device, now);
            return;
        }
        if (most >= ESCALATE_TARGET_RESET) r->function = OP_TARGET_RESET;
    }
    send_reset(m, device, now);
}

static __attribute__((noinline, cold)) void run_recovery(mp_t *m, int64_t now) {
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        const recovery_t *r = &m->recovery[device];
        if (r->function && r->deadline_ns <= now) recovery_due(m, device, now);
        if (r->function) next_timer(m, r->deadline_ns);
    }
}

/* The same for a command: it times out, or its abort does. */
static void command_due(mp_t *m, uint32_t i, int64_t now) {
    const slot_t *s = &m->slot[i];
    int sent = s->phase == PHASE_IN_FLIGHT || s->phase == PHASE_ANSWERED;
    if (!sent && s->phase != PHASE_ABORTING && s->phase != PHASE_ABORTED) return;
    int64_t deadline = sent ? deadline_of(m, s) : s->time;
    if (deadline > now) next_timer(m, deadline); /* an answer may yet turn out to be none */
    else if (s->phase == PHASE_IN_FLIGHT) command_times_out(m, i, now);
    else if (s->phase == PHASE_ABORTING) abort_times_out(m, i, now);
}

/* --- answers on their way ------------------------------------------------------------------ */

/* Takes the answer to an abort or a reset in hand, if it comes in time.  After that of a reset
 * nothing counts that the device's commands are answered; across a fabric `landed` sees to it. */
static __attribute__((noinline, cold)) int task_awaited(mp_t *m, const completion_t *c) {
    if (c->attempt == RESET_ATTEMPT) {
        uint32_t device = (uint32_t)c->id;
        if (device >= m->state->device_count) return 0;
        recovery_t *r = &m->recovery[device];
        if (!r->function || r->id != c->id || c->time >= r->deadline_ns) return 0;
        if (r->answer_ns) return r->answer_ns == c->time;
        int64_t down_ns = m->path[r->path].down_ns;
        if (down_ns && down_ns <= c->time) return 0;
        r->answer_ns = c->time;
        if (m->state->fabric_limits) return 1;
        for (uint32_t p = 0; p < m->state->path_count; p++) { /* those that are gone, too */
            path_t *path = &m->path[p];
            if (path->device == device && (!path->down_ns || c->time < path->down_ns))
                path->down_ns = c->time;
        }
        return 1;
    }
    uint32_t i = (uint32_t)(c->id >> SLOT_SHIFT);
    if (i >= m->slot_rows) return 0;
    const slot_t *s = &m->slot[i];
    int64_t down_ns = m->path[s->path].down_ns;
    return s->id == c->id && s->attempt == c->attempt && s->phase == PHASE_ABORTING &&
           c->sense == s->next && c->time < s->time && (down_ns == 0 || c->time < down_ns);
}

/* What an answer in hand is of: what waited for it waits no more. */
static inline void task_take(mp_t *m, const completion_t *c) {
    if (c->attempt != RESET_ATTEMPT) m->slot[c->id >> SLOT_SHIFT].phase = PHASE_ABORTED;
}

static uint32_t task_path(const mp_t *m, const completion_t *c) {
    if (c->attempt == RESET_ATTEMPT) return m->recovery[(uint32_t)c->id].path;
    return m->slot[c->id >> SLOT_SHIFT].path;
}

/* After a fabric has held the answer up: it may come too late by now. */
static void task_carried(mp_t *m, const completion_t *c) {
    if (c->attempt == RESET_ATTEMPT) {
        recovery_t *r = &m->recovery[(uint32_t)c->id];
        r->answer_ns = c->time < r->deadline_ns ? c->time : 0;
        return;
    }
    slot_t *s = &m->slot[c->id >> SLOT_SHIFT];
    if (c->time >= s->time) s->phase = PHASE_ABORTING;
}

/* When a device's reset is known to be complete, across a fabric; else never. */
static int64_t reset_lands(const mp_t *m, uint32_t device) {
    const recovery_t *r = &m->recovery[device];
    if (!r->function || !r->answer_ns) return NEVER_NS;
    int64_t down_ns = m->path[r->path].down_ns;
    return down_ns && down_ns <= r->answer_ns ? NEVER_NS : r->answer_ns;
}

/* Whether a device's reset lands before an answer does: all that is out is taken back then. */
static int outrun(const mp_t *m, uint32_t device, const completion_t *c) {
    completion_t reset = {.time = reset_lands(m, device), .id = m->recovery[device].id,
                          .attempt = RESET_ATTEMPT, .kind = KIND_TASK};
    return reset.time != NEVER_NS && before(&reset, c);
}

static int task_landed(const mp_t *m, const completion_t *c) {
    if (c->attempt == RESET_ATTEMPT) {
        uint32_t device = (uint32_t)c->id;
        return ends_reset(m, device, c) && reset_lands(m, device) == c->time;
    }
    const slot_t *s = &m->slot[c->id >> SLOT_SHIFT];
    if (!ends_abort(s, c)) return 0;
    return !m->state->recovering || !outrun(m, s->device, c);
}

/* Whether nobody waits any more for an answer that comes from its port: a reset of its device has
 * landed by then; or, if it is an abort's, the reset that was awaited has come to nothing. */
static __attribute__((noinline, cold)) int overtaken(const mp_t *m, const completion_t *c) {
    if (c->kind == KIND_TASK && c->attempt == RESET_ATTEMPT) return 0;
    uint32_t p = c->kind == KIND_CHECK ? check_path(c->id) : m->slot[c->id >> SLOT_SHIFT].path;
    const recovery_t *r = &m->recovery[m->path[p].device];
    if (!r->function || outrun(m, m->path[p].device, c)) return r->function != 0;
    if (c->kind != KIND_TASK) return 0;
    const path_t *by = &m->path[r->path];
    int is_last = r->id && r->function == OP_TARGET_RESET;
    if (by->down_ns && by->down_ns <= c->time && !by->lost) return 1;
    return is_last && m->state->escalation >= ESCALATE_PATH_DOWN && r->deadline_ns <= c->time;
}

#endif
