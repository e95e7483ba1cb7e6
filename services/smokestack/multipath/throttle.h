/* Adaptive queue depth: a device's depth falls when its array refuses, and grows back (FACTS 2.4).
 *
 * Two documented descriptions disagree, so there are two rules.  Counter: when refusals reach
 * `qfull_sample_size`, the depth halves.  Window: when of the last `qfull_sample_size` answers
 * `qfull_threshold` are refusals, it halves.  Under both, `qfull_threshold` good answers in a row
 * let it grow by one.  Not documented, so ours: half of the present depth, at least 1; no more than
 * was configured; any change of the depth, or a halving that finds 1, forgets what was counted.
 *
 * Before there was a rule (legacy), a host took a refusal for acceptance: the command keeps its
 * place, its answer never comes, and no path is seen to fail.  It ends with its path.
 */
#ifndef SMOKESTACK_MULTIPATH_THROTTLE_H
#define SMOKESTACK_MULTIPATH_THROTTLE_H

#include "attentions.h"

enum { RULE_FIXED = 1, RULE_COUNTER = 2, RULE_WINDOW = 3, RULE_LEGACY = 4 };

#define QUIET_NS 1000000000 /* events of one device and kind are at least so far apart */

static void throttle_tell(mp_t *m, uint32_t device, uint32_t kind, int64_t now, uint64_t from) {
    control_t *t = &m->control[device];
    if (kind != NOTE_RECOVERED && t->told_ns && now < t->told_ns - 1 + QUIET_NS) return;
    if (kind != NOTE_RECOVERED) t->told_ns = now + 1;
    t->told = kind == NOTE_THROTTLED;
    NOTE(m->state, m->note, .time = now, .kind = kind, .subject = device, .detail = from,
         .more = m->device[device].depth);
}

static void throttle_set(mp_t *m, uint32_t device, uint32_t depth) {
    control_t *t = &m->control[device];
    m->device[device].depth = depth;
    t->bad = t->good = 0;
    t->history = 0;
    fit_limit(&m->device[device]);
}

/* A command was refused, with TASK SET FULL or BUSY. */
static void throttle_refused(mp_t *m, uint32_t device, int64_t now) {
    control_t *t = &m->control[device];
    uint32_t depth = m->device[device].depth;
    uint64_t window = ~0ull >> (64 - t->qfull_sample_size);
    t->good = 0;
    t->bad++;
    t->history = (t->history << 1 | 1) & window;
    if (t->rule == RULE_COUNTER && t->bad < t->qfull_sample_size) return;
    if (t->rule == RULE_WINDOW &&
        (uint32_t)__builtin_popcountll(t->history) < t->qfull_threshold)
        return;
    throttle_set(m, device, depth > 1 ? depth / 2 : 1);
    if (depth == 1) return;
    t->throttles++;
    throttle_tell(m, device, NOTE_THROTTLED, now, depth);
}

/* A command was answered with GOOD. */
static void throttle_good(mp_t *m, uint32_t device, int64_t now) {
    control_t *t = &m->control[device];
    device_t *d = &m->device[device];
    if (t->rule == RULE_LEGACY) return;
    t->history = t->history << 1 & ~0ull >> (64 - t->qfull_sample_size);
    if (d->depth >= d->depth_configured || ++t->good < t->qfull_threshold) return;
    throttle_set(m, device, d->depth + 1);
    t->recoveries++;
    if (d->depth == d->depth_configured && t->told)
        throttle_tell(m, device, NOTE_RECOVERED, now, d->depth - 1);
}

/* A refusal that is taken for acceptance: the host goes on waiting for an answer. */
static void hang(mp_t *m, const completion_t *c, uint32_t i, path_t *path, device_t *d) {
    slot_t *s = &m->slot[i];
    if (c->status == STATUS_BUSY) d->busy++;
    else d->task_set_full++;
    path->refused++;
    m->control[s->device].hung++;
    s->phase = PHASE_IN_FLIGHT;
    throttle_tell(m, s->device, NOTE_HUNG, c->time, m->control[s->device].hung);
}

#endif
