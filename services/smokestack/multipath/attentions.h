/* Answers that a host deals with itself: unit attentions, and logical units that are not ready.
 *
 * A unit attention is heard, and its command leaves again at once, as a new attempt, on whatever
 * path the policy chooses.  A command that met 2/04/0A, 0B or 0C (asymmetric access: in
 * transition, standby, unavailable) rejoins its queue after `not_ready_delay_ns`; what the answer
 * says of its path is `not_ready`'s to act on.  One that finds its logical unit gone leaves on
 * another path, where there is one: an array hides a unit port by port.
 */
#ifndef SMOKESTACK_MULTIPATH_ATTENTIONS_H
#define SMOKESTACK_MULTIPATH_ATTENTIONS_H

#include "paths.h"
#include "smokestack/attentions.h"

#define HEARD_ROWS 32 /* of each device: a row for each attention, one for others, NOT READY's */
#define HEARD_OTHER ATTENTION_COUNT
_Static_assert(HEARD_OTHER < HEARD_ROWS - 3, "each has a row");

static inline int is_refusal(const completion_t *c) {
    return c->status == STATUS_TASK_SET_FULL || c->status == STATUS_BUSY;
}

static inline int is_attention(const completion_t *c) {
    return c->status == STATUS_CHECK && sense_key(c->sense) == SENSE_KEY_UNIT_ATTENTION;
}

static inline int is_not_ready(const completion_t *c) {
    return c->status == STATUS_CHECK && c->sense >= SENSE_TRANSITION &&
           c->sense <= SENSE_UNAVAILABLE;
}

/* What an array answers that has the unit no more: permanent device loss (FACTS 2.6). */
static inline int is_gone(const completion_t *c) {
    return c->status == STATUS_CHECK &&
           (c->sense == SENSE_LU_NOT_SUPPORTED || c->sense == SENSE_LU_FAILURE);
}

/* An answer of which a fabric has damaged a frame: the host knows only that. */
static inline int is_damaged(const completion_t *c) {
    return c->kind == KIND_HOST && c->status == HOST_PARITY;
}

/* Whether an answer makes its command try again, so that the submitter does not hear of it. */
static inline int retried(const completion_t *c) {
    if (c->status == STATUS_GOOD) return 0;
    if (c->kind != KIND_RESPONSE) return is_damaged(c);
    return is_refusal(c) || is_attention(c) || is_not_ready(c) || is_gone(c) ||
           c->status == STATUS_TASK_ABORTED;
}

/* How long a command waits before it rejoins its queue. */
static inline int64_t retry_delay(const mp_t *m, const completion_t *c) {
    if (is_refusal(c)) return m->state->retry_delay_ns;
    return is_not_ready(c) ? m->state->not_ready_delay_ns : 0;
}

/* Counts an attention, and tells of it unless it is what the device told of last: each path of a
 * device hears of one cause. */
static void hear_attention(mp_t *m, const completion_t *c, uint32_t path) {
    uint32_t device = m->path[path].device;
    device_t *d = &m->device[device];
    uint64_t heard = (uint64_t)c->sense << 32 | c->cause;
    m->heard[(size_t)device * HEARD_ROWS + attention_of(c->sense)]++;
    if (heard == d->heard) return;
    d->heard = heard;
    NOTE(m->state, m->note, .time = c->time, .kind = NOTE_ATTENTION, .subject = path,
         .detail = c->sense, .cause = c->cause);
}

/* A path answered that its logical unit is in transition, standby or unavailable there. */
static void not_ready(mp_t *m, const completion_t *c, const slot_t *s) {
    uint32_t row = HEARD_ROWS - 1 - (SENSE_UNAVAILABLE - c->sense);
    m->heard[(size_t)s->device * HEARD_ROWS + row]++;
    m->path[s->path].not_ready_ns = c->time;
    m->path[s->path].not_ready_ios = m->path[s->path].ios;
}

static void frame_damaged(mp_t *m, uint32_t path, int64_t now) {
    m->path[path].errors++;
    io_failed(m, path, HOST_PARITY, now);
}

/* Sends a command again, at once or later; its place in the device is free until then. */
static void try_again(mp_t *m, const completion_t *c, uint32_t i, device_t *d) {
    slot_t *s = &m->slot[i];
    s->attempt++;
    if (m->path[s->path].access && tells_of_access(c)) access_learn(m, c, s->device);
    if (!is_not_ready(c)) {
        if (is_damaged(c)) frame_damaged(m, s->path, c->time);
        else if (is_gone(c)) unit_gone(m, s->path, c);
        else if (c->status == STATUS_TASK_ABORTED) m->recovery[s->device].task_aborted++;
        else hear_attention(m, c, s->path);
        d->retries++;
        detour(m, i, c->time);
        queue_rejoin(m, d, i, c->time);
        return;
    }
    not_ready(m, c, s);
    s->phase = PHASE_RETRYING;
    s->time = c->time + m->state->not_ready_delay_ns;
    cal_push(m->calendar, m->bucket, m->slot, i);
}

#endif
