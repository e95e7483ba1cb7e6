/* Log-linear histograms for many rows of which few are used, and those in few places.
 *
 * The same buckets as histogram.h, but those of one power of two lie in a chunk that is taken from
 * a table when the first value falls into it.  The table must have a free chunk for each value
 * that is added before it can grow again: nothing is allocated here.  Python reads a row as a dense
 * histogram (engine/sparse_histogram.py), and so they merge by adding.
 *
 * A chunk counts in 32 bits where there are many to a path, and in 64 where counts go on for days.
 */
#ifndef SMOKESTACK_SPARSE_HISTOGRAM_H
#define SMOKESTACK_SPARSE_HISTOGRAM_H

#include "smokestack/histogram.h"

#define SPARSE_CHUNKS (HIST_BUCKETS / HIST_SUB_COUNT)

typedef struct {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t min;                  /* meaningless while count is 0 */
    uint32_t chunk[SPARSE_CHUNKS]; /* rows of the chunk table; the first row stands for none */
} sparse_hist_t;

typedef struct {
    uint32_t bucket[HIST_SUB_COUNT];
} hist_chunk_t;

typedef struct {
    uint64_t bucket[HIST_SUB_COUNT];
} wide_chunk_t;

_Static_assert(sizeof(sparse_hist_t) == 192, "three cache lines");

/* The chunk of a bucket; `used` counts those taken so far, the first one included. */
static inline uint32_t sparse_chunk(sparse_hist_t *h, uint32_t *used, uint32_t index) {
    uint32_t *chunk = &h->chunk[index / HIST_SUB_COUNT];
    if (!*chunk) *chunk = (*used)++;
    return *chunk;
}

static inline void sparse_count(sparse_hist_t *h, uint64_t v) {
    if (h->count == 0 || v < h->min) h->min = v;
    if (v > h->max) h->max = v;
    h->count++;
    h->sum += v;
}

/* Adds a value. */
static inline void sparse_add(sparse_hist_t *h, hist_chunk_t *chunks, uint32_t *used, uint64_t v) {
    uint32_t index = hist_index(v);
    sparse_count(h, v);
    chunks[sparse_chunk(h, used, index)].bucket[index % HIST_SUB_COUNT]++;
}

static inline uint64_t *wide_bucket(sparse_hist_t *h, wide_chunk_t *chunks, uint32_t *used,
                                    uint64_t v) {
    uint32_t index = hist_index(v);
    return &chunks[sparse_chunk(h, used, index)].bucket[index % HIST_SUB_COUNT];
}

static inline void wide_add(sparse_hist_t *h, wide_chunk_t *chunks, uint32_t *used, uint64_t v) {
    sparse_count(h, v);
    ++*wide_bucket(h, chunks, used, v);
}

#endif
