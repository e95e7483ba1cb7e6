/* A calendar queue: pops events in exact key order at a cost that hardly grows with occupancy.
 *
 * Events are nodes of the includer's own table, linked by index; the queue allocates nothing.
 * Before including this file, define over a context `ctx` of type CAL_CTX:
 *
 *   CAL_TIME(ctx, i)      the event's time, int64_t ns
 *   CAL_NEXT(ctx, i)      its link, a uint32_t lvalue
 *   CAL_LESS(ctx, i, j)   the total order, time first
 *
 * A bucket holds the events of one slice of time (and of the slices one lap away), sorted, so the
 * order popped never depends on the number or the width of buckets: tuning cannot change a result.
 * R. Brown, "Calendar queues", CACM 31(10), 1988.
 */
#ifndef SMOKESTACK_CALENDAR_H
#define SMOKESTACK_CALENDAR_H

#include <stdint.h>

#define CAL_NIL 0xffffffffu
#define CAL_BUCKETS_MIN 64u
#define CAL_AHEAD 16 /* slices between an event popped and the one whose node is fetched */

/* Lives in NumPy memory, one row; buckets_max is a power of two >= 64. */
typedef struct {
    int64_t floor_ns; /* no queued event is earlier */
    int64_t mark_ns;  /* since when pops are counted, for the width */
    uint64_t pops;
    uint32_t count;
    uint32_t mask; /* buckets in use, less one */
    uint32_t shift; /* a bucket spans 2^shift ns */
    uint32_t buckets_max;
    uint64_t reserved[3];
} calendar_t;

typedef struct {
    uint32_t head;
    uint32_t tail;
} cal_bucket_t;

_Static_assert(sizeof(calendar_t) == 64, "one cache line");

static inline void cal_clear(calendar_t *c, cal_bucket_t *b) {
    for (uint32_t k = 0; k <= c->mask; k++) b[k].head = b[k].tail = CAL_NIL;
}

static inline void cal_link(calendar_t *c, cal_bucket_t *b, CAL_CTX ctx, uint32_t i) {
    int64_t t = CAL_TIME(ctx, i);
    cal_bucket_t *k = &b[(uint32_t)(t >> c->shift) & c->mask];
    if (k->head == CAL_NIL) {
        k->head = k->tail = i;
        CAL_NEXT(ctx, i) = CAL_NIL;
    } else if (CAL_LESS(ctx, k->tail, i)) { /* the common case, and what keeps ties linear */
        CAL_NEXT(ctx, k->tail) = i;
        CAL_NEXT(ctx, i) = CAL_NIL;
        k->tail = i;
    } else {
        uint32_t *at = &k->head;
        while (CAL_LESS(ctx, *at, i)) at = &CAL_NEXT(ctx, *at);
        CAL_NEXT(ctx, i) = *at;
        *at = i;
    }
}

static inline void cal_push(calendar_t *c, cal_bucket_t *b, CAL_CTX ctx, uint32_t i) {
    if (CAL_TIME(ctx, i) < c->floor_ns) c->floor_ns = CAL_TIME(ctx, i);
    cal_link(c, b, ctx, i);
    c->count++;
}

/* Fetches the bucket that a push at this time will touch; worth it some pushes ahead. */
static inline void cal_prefetch(const calendar_t *c, const cal_bucket_t *b, int64_t time) {
    __builtin_prefetch(&b[(uint32_t)(time >> c->shift) & c->mask], 1);
}

/* The earliest event when a whole lap of buckets is empty: look at every head. */
static inline uint32_t cal_far(const calendar_t *c, const cal_bucket_t *b, CAL_CTX ctx) {
    uint32_t best = CAL_NIL;
    for (uint32_t k = 0; k <= c->mask; k++)
        if (b[k].head != CAL_NIL && (best == CAL_NIL || CAL_LESS(ctx, b[k].head, best)))
            best = b[k].head;
    return best;
}

/* The earliest event before limit_ns, or CAL_NIL; it stays queued until cal_pop. */
static inline uint32_t cal_peek(calendar_t *c, cal_bucket_t *b, CAL_CTX ctx, int64_t limit_ns) {
    if (c->count == 0) return CAL_NIL;
    int64_t slice = c->floor_ns >> c->shift;
    for (uint32_t step = 0; step <= c->mask; step++, slice++) {
        if (slice << c->shift >= limit_ns) {
            if (limit_ns > c->floor_ns) c->floor_ns = limit_ns;
            return CAL_NIL;
        }
        uint32_t i = b[(uint32_t)slice & c->mask].head;
        if (i != CAL_NIL && CAL_TIME(ctx, i) >> c->shift == slice) {
            c->floor_ns = CAL_TIME(ctx, i);
            if (c->floor_ns < limit_ns) return i;
            c->floor_ns = limit_ns;
            return CAL_NIL;
        }
    }
    uint32_t i = cal_far(c, b, ctx);
    int64_t t = CAL_TIME(ctx, i);
    c->floor_ns = t < limit_ns ? t : limit_ns;
    return t < limit_ns ? i : CAL_NIL;
}

/* The earliest time queued, or `otherwise`; moves nothing but the floor. */
static inline int64_t cal_first(calendar_t *c, cal_bucket_t *b, CAL_CTX ctx, int64_t otherwise) {
    uint32_t i = cal_peek(c, b, ctx, INT64_MAX);
    return i == CAL_NIL ? otherwise : CAL_TIME(ctx, i);
}

/* Takes out event i, which the last cal_peek returned. */
static inline void cal_pop(calendar_t *c, cal_bucket_t *b, CAL_CTX ctx, uint32_t i) {
    cal_bucket_t *k = &b[(uint32_t)(CAL_TIME(ctx, i) >> c->shift) & c->mask];
    uint32_t ahead = b[(uint32_t)((CAL_TIME(ctx, i) >> c->shift) + CAL_AHEAD) & c->mask].head;
    if (ahead != CAL_NIL) __builtin_prefetch(&CAL_NEXT(ctx, ahead), 1);
    k->head = CAL_NEXT(ctx, i);
    if (k->head == CAL_NIL) k->tail = CAL_NIL;
    c->count--;
    c->pops++;
}

static inline void cal_rebuild(
    calendar_t *c, cal_bucket_t *b, CAL_CTX ctx, uint32_t buckets, uint32_t shift) {
    uint32_t all = CAL_NIL, last = CAL_NIL;
    for (uint32_t k = 0; k <= c->mask; k++) {
        if (b[k].head == CAL_NIL) continue;
        if (all == CAL_NIL) all = b[k].head;
        else CAL_NEXT(ctx, last) = b[k].head;
        last = b[k].tail;
    }
    c->mask = buckets - 1;
    c->shift = shift;
    cal_clear(c, b);
    while (all != CAL_NIL) {
        uint32_t next = CAL_NEXT(ctx, all);
        cal_link(c, b, ctx, all);
        all = next;
    }
}

static inline uint32_t cal_log2(uint64_t v) {
    return v < 2 ? 0 : 63 - (uint32_t)__builtin_clzll(v);
}

/* Fits buckets to occupancy and width to the pace of pops; cheap, once per window. */
static inline void cal_tune(calendar_t *c, cal_bucket_t *b, CAL_CTX ctx) {
    uint32_t buckets = c->mask + 1, shift = c->shift;
    while (buckets < (uint64_t)c->count && buckets < c->buckets_max) buckets *= 2;
    while (buckets > CAL_BUCKETS_MIN && buckets / 8 > c->count) buckets /= 2;
    if (c->pops >= 256 && c->pops >= c->count / 4) {
        int64_t gap = (c->floor_ns - c->mark_ns) / (int64_t)c->pops;
        uint32_t want = cal_log2(gap > 1 ? (uint64_t)gap : 1) + 1;
        if (want > shift + 1 || want + 1 < shift) shift = want;
        c->pops = 0;
        c->mark_ns = c->floor_ns;
    }
    if (buckets != c->mask + 1 || shift != c->shift) cal_rebuild(c, b, ctx, buckets, shift);
}

#endif
