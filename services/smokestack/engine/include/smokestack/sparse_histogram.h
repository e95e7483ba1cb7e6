/* Log-linear histograms for many rows of which few are used, and those in few places.
 *
 * The same buckets as histogram.h, but those of one power of two lie in a chunk that is taken from
 * a table when the first value falls into it.  The table must have a free chunk for each value
 * that is added before it can grow again: nothing is allocated here.  Python reads a row as a dense
 * histogram (engine/sparse_histogram.py), and so they merge by adding.
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

_Static_assert(sizeof(sparse_hist_t) == 192, "three cache lines");

/* Adds a value; `used` counts the chunks taken so far, the first one included. */
static inline void sparse_add(sparse_hist_t *h, hist_chunk_t *chunks, uint32_t *used, uint64_t v) {
    uint32_t index = hist_index(v), group = index / HIST_SUB_COUNT;
    if (h->count == 0 || v < h->min) h->min = v;
    if (v > h->max) h->max = v;
    h->count++;
    h->sum += v;
    if (!h->chunk[group]) h->chunk[group] = (*used)++;
    chunks[h->chunk[group]].bucket[index % HIST_SUB_COUNT]++;
}

#endif
