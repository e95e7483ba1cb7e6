/* Latency: samples every path's latency, then sends where the expected wait is least (VMW_PSP_RR
 * with policy=latency, FACTS 2.1).
 *
 * latency_sample_ios I/Os (16) are sent on each usable path in turn, and the mean of as many
 * answers is the path's latency.  Until all have theirs, paths rotate.  From then on the path with
 * the least latency * (1 + in flight) is used; ties go to the path unused for longest.  Sampling
 * begins anew latency_evaluation_ns (180 s) after it last began, and on a path that comes back.
 *
 * Documented are the samples, their mean, the evaluation time, and that latency and outstanding
 * I/Os decide; the product of the two is this model's choice [P].  Refused and lost commands are no
 * samples: others are sent in their place.
 */
#include "selector.h"

static void latency_forget(const choice_t *c, uint32_t path) {
    measure_t *m = &c->measures[path];
    m->sampled = m->sent = 0;
    m->latency_sum_ns = 0;
}

static void latency_begin_when_due(const choice_t *c) {
    policy_t *p = c->policy;
    int64_t since_ns = c->now_ns - p->sampling_ns; /* negative before the first sampling */
    if (since_ns >= 0 && since_ns < p->latency_evaluation_ns) return;
    p->sampling_ns = c->now_ns;
    for (uint32_t i = 0; i < c->device->path_count; i++) latency_forget(c, c->order[i].used);
}

static uint32_t latency_select(const choice_t *c) {
    uint32_t samples = c->policy->latency_sample_ios, first = NIL, best = NIL;
    uint64_t least = UINT64_MAX;
    int waiting = 0;
    latency_begin_when_due(c);
    for (uint32_t i = 0; i < c->device->path_count; i++) {
        uint32_t path = c->order[i].used;
        const measure_t *m = &c->measures[path];
        if (!usable(c, path)) continue;
        if (m->sent < samples) return take_used(c, i);
        if (first == NIL) first = i;
        if (m->sampled < samples) waiting = 1;
        uint64_t cost = (uint64_t)m->latency_ns * (1 + (uint64_t)c->paths[path].in_flight);
        if (cost >= least) continue;
        least = cost;
        best = i;
    }
    return take_used(c, waiting ? first : best);
}

static void latency_start(const choice_t *c, uint32_t path) { c->measures[path].sent++; }

static void latency_end(const choice_t *c, uint32_t path, int64_t start_ns, int answered) {
    measure_t *m = &c->measures[path];
    uint32_t samples = c->policy->latency_sample_ios;
    if (start_ns < c->policy->sampling_ns) return;
    if (!answered) {
        if (m->sent > m->sampled) m->sent--;
        return;
    }
    if (m->sampled >= samples) return;
    m->latency_sum_ns += c->now_ns - start_ns;
    if (++m->sampled == samples) m->latency_ns = m->latency_sum_ns / samples;
}

static const selector_t LATENCY = {.fail_path = latency_forget,
                                   .select_path = latency_select,
                                   .start_io = latency_start,
                                   .end_io = latency_end};
