/* dm-multipath's historical-service-time: the least (1 + in flight) * hst (FACTS 3.1).
 *
 * hst, in 1/1024 ns, is an exponential moving average of service times: hst*W + st*(1-W), rounded.
 * A service time runs from the command's start, or from the path's last answer if that is later, so
 * that overlapping commands count in series.  W = base^(n+1), n = st >> 24 (buckets of 16.8 ms): a
 * long time weighs more; from the 64th bucket on W is 0.  hst begins at 1 ns.
 *
 * A path is stale when its last answer is more than (usable paths) * hst ago.  Two paths compare:
 *   1. hst no more than threshold_multiplier apart: by commands in flight.
 *   2. One of them idle and stale, or both idle: an idle path is better than a busy one (so a stale
 *      one is probed by one command), of two idle ones that which is stale for longer.
 *   3. Else by (1 + in flight) * hst; but a winner that is stale, by commands in flight.
 * Ties go to the path unused for longest.  Refused and lost commands are no service.
 */
#include "selector.h"

#define HST_SHIFT 10 /* 1 is 1024: of weights and of hst */
#define HST_BUCKET_SHIFT 24
#define HST_BUCKETS 64

static void hst_add_path(const choice_t *c, uint32_t path) {
    c->measures[path].hst = 1 << HST_SHIFT;
}

/* Negative: path a is better; positive: b; 0: neither. */
static int64_t hst_compare(const choice_t *c, uint32_t a, uint32_t b) {
    const measure_t *ma = &c->measures[a], *mb = &c->measures[b];
    uint64_t hst_a = ma->hst, hst_b = mb->hst, threshold = c->policy->hst_threshold_multiplier;
    int64_t out_a = c->paths[a].in_flight, out_b = c->paths[b].in_flight;
    int stale_a = ma->stale_after_ns < c->now_ns, stale_b = mb->stale_after_ns < c->now_ns;
    int differ = hst_a > hst_b ? hst_a > threshold * hst_b : hst_b > threshold * hst_a;
    if (!differ) return out_a - out_b;
    if ((!out_a && stale_a) || (!out_b && stale_b) || (!out_a && !out_b))
        return (out_b ? 0 : ma->stale_after_ns) - (out_a ? 0 : mb->stale_after_ns);
    if (out_a >= 1 << HST_SHIFT || out_b >= 1 << HST_SHIFT) { /* else the product may overflow */
        hst_a >>= HST_SHIFT;
        hst_b >>= HST_SHIFT;
    }
    int b_wins = out_a == out_b ? ma->hst > mb->hst
                                : (1 + (uint64_t)out_a) * hst_a > (1 + (uint64_t)out_b) * hst_b;
    if (b_wins ? stale_b : stale_a) return out_a - out_b;
    return b_wins ? 1 : -1;
}

static uint32_t hst_select(const choice_t *c) {
    uint32_t best = NIL;
    for (uint32_t i = 0; i < c->device->path_count; i++) {
        if (!usable(c, c->order[i].used)) continue;
        if (best == NIL || hst_compare(c, c->order[i].used, c->order[best].used) < 0) best = i;
    }
    return take_used(c, best);
}

/* base^n by squaring, every product rounded to 10 bits. */
static uint64_t hst_power(uint64_t base, uint32_t n) {
    uint64_t power = 1 << HST_SHIFT, half = 1 << (HST_SHIFT - 1);
    for (; n; n >>= 1) {
        if (n & 1) power = (power * base + half) >> HST_SHIFT;
        base = (base * base + half) >> HST_SHIFT;
    }
    return power;
}

static void hst_end(const choice_t *c, uint32_t path, int64_t start_ns, int answered) {
    measure_t *m = &c->measures[path];
    if (!answered) return;
    if (m->last_finish_ns > start_ns) start_ns = m->last_finish_ns;
    m->last_finish_ns = c->now_ns;
    uint64_t st = c->now_ns > start_ns ? (uint64_t)(c->now_ns - start_ns) : 0;
    uint64_t most = UINT64_MAX >> HST_SHIFT;
    uint64_t bucket = st >> HST_BUCKET_SHIFT;
    uint64_t weight = bucket < HST_BUCKETS - 1
                          ? hst_power(c->policy->hst_base_weight, (uint32_t)bucket + 1)
                          : 0;
    uint64_t next = st < most >> HST_SHIFT ? st << HST_SHIFT : most;
    m->hst = (m->hst * weight + next * ((1 << HST_SHIFT) - weight) + (1 << (HST_SHIFT - 1))) >>
             HST_SHIFT;
    int64_t count = 0;
    for (uint32_t i = 0; i < c->device->path_count; i++) count += usable(c, c->order[i].used);
    m->stale_after_ns = c->now_ns + count * (int64_t)(m->hst >> HST_SHIFT);
}

static const selector_t HISTORICAL_SERVICE_TIME = {.add_path = hst_add_path,
                                                   .reinstate_path = reinstate_last,
                                                   .select_path = hst_select,
                                                   .end_io = hst_end};
