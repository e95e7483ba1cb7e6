/* The array as its kernel sees it: the tables with their types, and the queue of what happens
 * when. */
#ifndef SMOKESTACK_ARRAY_CONTEXT_H
#define SMOKESTACK_ARRAY_CONTEXT_H

#include "smokestack/records.h"
#include "tables.h"

#include "smokestack/sparse_histogram.h"

static inline int io_before(const io_t *a, const io_t *b) {
    if (a->time != b->time) return a->time < b->time;
    if (a->kind != b->kind) return a->kind < b->kind;
    if (a->id != b->id) return a->id < b->id;
    return a->attempt < b->attempt;
}

#define CAL_CTX io_t *
#define CAL_TIME(ctx, i) ((ctx)[i].time)
#define CAL_NEXT(ctx, i) ((ctx)[i].next)
#define CAL_LESS(ctx, i, j) io_before(&(ctx)[i], &(ctx)[j])
#include "smokestack/calendar.h"

enum { T_STATE, T_PORT, T_CONTROLLER, T_CORE, T_POOL, T_DISK, T_VOLUME, T_ITL, T_IO, T_PAGE,
       T_SHARE, T_INBOX, T_OUT, T_HISTOGRAM, T_CALENDAR, T_BUCKET, T_NOTE, T_FAULT,
       T_CHAIN, T_DELTA, T_ATTENTION, T_HEAD, T_QUOTA, T_QUOTAS_OF, T_RAW_FREE, T_EXTENT,
       T_READ_CACHE, T_READ_SLOT, T_READ_INDEX, T_UNIT, T_CHUNK, T_TASK,
       T_BLOCK, T_DESTAGE, T_AGED, T_IDLE, T_COUNT };
static const table_decl_t TABLES[T_COUNT] = {
    {"state", sizeof(array_state_t)}, {"port", sizeof(port_t)},
    {"controller", sizeof(controller_t)}, {"core", sizeof(int64_t)},
    {"pool", sizeof(pool_t)}, {"disk", sizeof(int64_t)},
    {"volume", sizeof(volume_t)}, {"itl", sizeof(itl_t)},
    {"io", sizeof(io_t)}, {"page", sizeof(page_t)},
    {"share", sizeof(page_t)},
    {"inbox", sizeof(uint32_t)}, {"out", sizeof(completion_t)},
    {"histogram", sizeof(sparse_hist_t)}, {"calendar", sizeof(calendar_t)},
    {"bucket", sizeof(cal_bucket_t)}, {"note", sizeof(note_t)},
    {"fault", sizeof(fault_t)}, {"chain", sizeof(chain_t)},
    {"delta", sizeof(page_t)}, {"attention", sizeof(attention_t)},
    {"head", sizeof(uint64_t)}, {"quota", sizeof(quota_t)},
    {"quotas_of", sizeof(quotas_of_t)}, {"raw_free", sizeof(uint64_t)},
    {"extent", sizeof(extent_t)}, {"read_cache", sizeof(read_cache_t)},
    {"read_slot", sizeof(read_slot_t)}, {"read_index", sizeof(page_t)},
    {"unit", sizeof(unit_t)}, {"chunk", sizeof(wide_chunk_t)}, {"task", sizeof(task_t)},
    {"block", sizeof(page_t)}, {"destage", sizeof(destage_t)}, {"aged", sizeof(line_t)},
    {"idle", sizeof(line_t)}};

/* The bound tables, with their types; made anew for each call. */
typedef struct {
    array_state_t *state;
    port_t *port;
    controller_t *controller;
    int64_t *core;
    pool_t *pool;
    int64_t *disk;
    volume_t *volume;
    itl_t *itl;
    io_t *io;
    page_t *page;
    uint64_t page_mask;
    page_t *share;
    uint64_t share_mask;
    uint32_t *inbox;
    completion_t *out;
    sparse_hist_t *histogram; /* by ITL */
    calendar_t *calendar;
    cal_bucket_t *bucket;
    note_t *note; /* a row for each pool and each fault */
    fault_t *fault;
    chain_t *chain;
    page_t *delta; /* changes of the page map, for who keeps it elsewhere, too */
    attention_t *attention; /* a row for each ITL and code */
    uint64_t *head; /* a row for each disk: pool and page of its last access; 0: it had none */
    quota_t *quota; /* a row for each host, and for each host and port that it reaches */
    quotas_of_t *quotas_of; /* a row for each ITL */
    uint64_t *raw_free; /* bytes of each group's drives, for pools to draw; all bits: not counted */
    extent_t *extent; /* a row for each time that a full volume was made or grew */
    read_cache_t *read_cache; /* a row for each controller */
    read_slot_t *read_slot;
    page_t *read_index; /* for each cache a table like that of pages; `physical` is its slot */
    unit_t *unit;
    wide_chunk_t *chunk; /* of the histograms */
    task_t *task;   /* a row for each ITL */
    page_t *block;  /* those that have a value */
    uint64_t block_mask;
    destage_t *destage; /* a row for each controller */
    line_t *aged; /* what waits in each controller's write cache, the oldest first */
    line_t *idle; /* what waits for each disk to have nothing to do */
    uint32_t io_rows;
    uint32_t volume_rows;
} array_t;

static inline array_t array_of(const kernel_t *k) {
    return (array_t){k->table[T_STATE],  k->table[T_PORT],      k->table[T_CONTROLLER],
                     k->table[T_CORE],   k->table[T_POOL],      k->table[T_DISK],
                     k->table[T_VOLUME], k->table[T_ITL],       k->table[T_IO],
                     k->table[T_PAGE],   k->rows[T_PAGE] - 1u,  k->table[T_SHARE],
                     k->rows[T_SHARE] - 1u, k->table[T_INBOX],
                     k->table[T_OUT],    k->table[T_HISTOGRAM], k->table[T_CALENDAR],
                     k->table[T_BUCKET], k->table[T_NOTE],      k->table[T_FAULT],
                     k->table[T_CHAIN],  k->table[T_DELTA],     k->table[T_ATTENTION],
                     k->table[T_HEAD],   k->table[T_QUOTA],     k->table[T_QUOTAS_OF],
                     k->table[T_RAW_FREE], k->table[T_EXTENT],    k->table[T_READ_CACHE],
                     k->table[T_READ_SLOT], k->table[T_READ_INDEX], k->table[T_UNIT],
                     k->table[T_CHUNK],
                     k->table[T_TASK],   k->table[T_BLOCK],     k->rows[T_BLOCK] - 1u,
                     k->table[T_DESTAGE], k->table[T_AGED], k->table[T_IDLE],
                     k->rows[T_IO],      k->rows[T_VOLUME]};
}

static inline void schedule(array_t *a, uint32_t i, int64_t time, uint8_t kind) {
    a->io[i].time = time;
    a->io[i].kind = kind;
    cal_push(a->calendar, a->bucket, a->io, i);
}

#endif
