/* Path checkers: a TEST UNIT READY now and then, by path, as multipathd's tur checker sends it.
 *
 * A check begins `polling_ns` after the one before, then twice as long after each that finds the
 * path as good as it was, up to `polling_max_ns`; a path that fails or returns begins anew (FACTS
 * 3.2).  Its command goes past the device's and the adapter's queues, and has no place in them.
 * Refused, it is sent again after the usual delay; a unit attention or a damaged frame takes one of
 * its five tries; no answer in `check_timeout_ns` is one, too.  2/04/0B is a ghost: alive, and not
 * to be used now.  2/04/0A leaves the path as it was.  Any other answer but GOOD says that it is
 * down.
 */
#ifndef SMOKESTACK_MULTIPATH_CHECKERS_H
#define SMOKESTACK_MULTIPATH_CHECKERS_H

#include "attentions.h"
#include "marginal.h"

#define CHECK_IDS (UINT64_C(0xffffff) << SLOT_SHIFT) /* of a slot that no submitter gets to */
#define CHECK_TRIES 5
#define CHECK_DAMAGED 0xff /* in place of a status: a fabric has damaged the answer */

static inline uint32_t check_path(uint64_t id) { return (uint32_t)(id >> 16) & 0xffffffu; }

/* Whether an answer is to what a check has sent last, and comes in time. */
static __attribute__((noinline, cold)) int check_awaited(const mp_t *m, const completion_t *c) {
    uint32_t p = check_path(c->id);
    if (c->id < CHECK_IDS || p >= m->health_rows) return 0;
    const health_t *h = &m->health[p];
    if (h->out != c->id || h->attempt != c->attempt || c->time >= h->deadline_ns) return 0;
    int64_t down_ns = m->path[p].down_ns;
    return down_ns == 0 || c->time < down_ns;
}

static void check_send(mp_t *m, uint32_t p, int64_t now) {
    health_t *h = &m->health[p];
    const path_t *path = &m->path[p];
    h->checks++;
    h->again_ns = 0;
    *wire_place(m, path->array, h->out, now) = (submission_t){
        .time = now, .id = h->out, .nexus = path->itl, .attempt = h->attempt,
        .op = OP_TEST_UNIT_READY};
    next_timer(m, h->deadline_ns);
}

/* Acts on what a check has found, and plans the next one. */
static void check_ends(mp_t *m, uint32_t p, uint8_t verdict, uint32_t sense, int64_t now) {
    const path_t *path = &m->path[p];
    const care_t *care = &m->care[path->device];
    health_t *h = &m->health[p];
    int was_dead = path->state == PATH_DEAD, works = verdict == CHECK_UP || verdict == CHECK_GHOST;
    note_t note = {.time = now, .detail = (uint64_t)verdict << 32 | sense};
    h->out = 0;
    h->again_ns = 0;
    if (!is_checked(m, path)) { /* no more */
        h->due_ns = 0;
        return;
    }
    h->verdict = verdict;
    h->sense = sense;
    note.kind = works ? NOTE_CHECKED_UP : NOTE_CHECKED_DOWN;
    if (works && was_dead && !path->gone && !reinstates(m, p, now)) {
        h->verdict = CHECK_DELAYED;
    } else if (works && was_dead) {
        path_found(m, p, note);
        h->interval_ns = care->polling_ns;
    } else if (works) {
        forgive(m, p);
        int64_t longer = 2 * h->interval_ns;
        h->interval_ns = longer < care->polling_max_ns ? longer : care->polling_max_ns;
    } else if (verdict != CHECK_PENDING) {
        if (h->marginal) h->recovers_ns = now + care->error_recovery_ns;
        path_lost(m, p, failure(m, p, note));
    }
    h->due_ns = h->begun_ns + h->interval_ns;
    if (h->due_ns <= now) h->due_ns = now + h->interval_ns;
    next_timer(m, h->due_ns);
    pump(m, path->device, now);
}

static void check_begin(mp_t *m, uint32_t p, int64_t now) {
    health_t *h = &m->health[p];
    h->begun_ns = now;
    if (!is_checked(m, &m->path[p])) {
        h->due_ns = 0;
        return;
    }
    if (m->path[p].lost || is_cut(&m->path[p])) {
        uint8_t verdict = m->path[p].blocked ? CHECK_PENDING : CHECK_DOWN;
        check_ends(m, p, verdict, SENSE_NONE, now);
        return;
    }
    h->out = CHECK_IDS | (uint64_t)p << 16 | (++h->sequence & 0xffffu);
    h->attempt = 0;
    h->tries = CHECK_TRIES;
    int64_t timeout = m->care[m->path[p].device].check_timeout_ns;
    int64_t least = m->state->lookahead_ns; /* no sooner than it can be answered */
    h->deadline_ns = now + (timeout > least ? timeout : least);
    check_send(m, p, now);
}

/* Sends a check's command once more, if it has tries left. */
static void check_again(mp_t *m, uint32_t p, uint32_t sense, int64_t now) {
    health_t *h = &m->health[p];
    if (--h->tries == 0) {
        check_ends(m, p, CHECK_DOWN, sense, now);
        return;
    }
    h->attempt++;
    check_send(m, p, now);
}

static uint8_t check_verdict(const completion_t *c) {
    if (c->status == STATUS_GOOD) return CHECK_UP;
    if (c->sense == SENSE_STANDBY) return CHECK_GHOST;
    return c->sense == SENSE_TRANSITION ? CHECK_PENDING : CHECK_DOWN;
}

static __attribute__((noinline, cold)) void check_answered(mp_t *m, const completion_t *c) {
    uint32_t p = check_path(c->id);
    health_t *h = &m->health[p];
    path_t *path = &m->path[p];
    if (h->out != c->id || h->attempt != c->attempt || path->lost) return;
    if (is_refusal(c) && is_checked(m, path)) {
        h->attempt++;
        h->again_ns = c->time + m->state->retry_delay_ns;
        next_timer(m, h->again_ns);
        return;
    }
    if (path->access && tells_of_access(c)) access_learn(m, c, path->device);
    if (!is_checked(m, path)) {
        check_ends(m, p, h->verdict, h->sense, c->time);
    } else if (c->status == CHECK_DAMAGED) {
        path->errors++;
        check_again(m, p, SENSE_NONE, c->time);
    } else if (is_attention(c)) {
        hear_attention(m, c, p);
        check_again(m, p, c->sense, c->time);
    } else {
        if (is_gone(c)) unit_gone(m, p, c);
        check_ends(m, p, check_verdict(c), c->sense, c->time);
    }
}

/* Begins checks that are due, sends again what was refused, and ends what was not answered. */
static void checks_due(mp_t *m, int64_t now) {
    for (uint32_t p = 0; p < m->health_rows; p++) {
        health_t *h = &m->health[p];
        if (!h->due_ns) continue;
        if (!h->out && h->due_ns <= now) check_begin(m, p, now);
        else if (h->out && h->deadline_ns <= now)
            check_ends(m, p, CHECK_TIMEOUT, SENSE_NONE, now);
        else if (h->again_ns && h->again_ns <= now) check_send(m, p, now);
        if (!h->due_ns) continue;
        if (!h->out) next_timer(m, h->due_ns);
        else next_timer(m, h->deadline_ns);
        if (h->again_ns) next_timer(m, h->again_ns);
    }
}

#endif
