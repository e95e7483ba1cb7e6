/* Log-linear latency histograms: 32 buckets to each power of two, exact below 32 ns.
 *
 * A bucket is at most 1/32 of its lower bound wide, so a bucket's middle is off by at most 1.6 %.
 * All from 2^44 ns (4.9 hours) share the last bucket; max keeps the true extreme.  Histograms of
 * parts merge into that of the whole by adding counts.  Zeroed memory is an empty histogram.
 */
#ifndef SMOKESTACK_HISTOGRAM_H
#define SMOKESTACK_HISTOGRAM_H

#include <stdint.h>

#define HIST_SUB_BITS 5
#define HIST_SUB_COUNT (1u << HIST_SUB_BITS)
#define HIST_VALUE_BITS 44
#define HIST_BUCKETS ((HIST_VALUE_BITS - HIST_SUB_BITS + 1) * 32)

typedef struct {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t min; /* meaningless while count is 0 */
    uint64_t bucket[HIST_BUCKETS];
} hist_t;

_Static_assert(HIST_BUCKETS == 1280, "engine/histogram.py has the same number");
_Static_assert(sizeof(hist_t) == (4 + 1280) * 8, "a histogram has no padding");

static inline uint32_t hist_index(uint64_t v) {
    if (v < HIST_SUB_COUNT) {
        return (uint32_t)v;
    }
    if (v >> HIST_VALUE_BITS) {
        return HIST_BUCKETS - 1;
    }
    uint32_t e = 63u - (uint32_t)__builtin_clzll(v);
    uint32_t sub = (uint32_t)(v >> (e - HIST_SUB_BITS)) & (HIST_SUB_COUNT - 1);
    return (e - HIST_SUB_BITS + 1) * HIST_SUB_COUNT + sub;
}

static inline void hist_add(hist_t *h, uint64_t v) {
    if (h->count == 0 || v < h->min) {
        h->min = v;
    }
    if (v > h->max) {
        h->max = v;
    }
    h->count++;
    h->sum += v;
    h->bucket[hist_index(v)]++;
}

#endif
