/* Disks: what an access takes, and the place that it gets behind those that came before. */
#ifndef SMOKESTACK_ARRAY_MEDIA_H
#define SMOKESTACK_ARRAY_MEDIA_H

#include "hits.h"
#include "reads.h"
#include "smokestack/exponential.h"
#include "smokestack/philox.h"

static inline int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static inline void media_draw(const array_t *a, const io_t *io, uint64_t w[4]) {
    philox4x64_10(a->state->seed, STREAM_MEDIA, io->id, io->attempt, 0, 0, w);
}

/* Where a disk's head is after an access to a pool's page; never 0. */
static inline uint64_t head_of(const array_t *a, const pool_t *pool, uint64_t page) {
    return ((uint64_t)(pool - a->pool) + 1) << READ_BLOCK_SHIFT | page;
}

/* Whether a command that is at the media reads there; a copy does before it is a write. */
static inline int reads_media(const io_t *io) { return io->op == OP_READ || io->op == OP_COPY; }

/* What an access takes on the mean: less in the disk's last page, or the next one that it has of
 * the same pool. */
static int64_t media_mean(array_t *a, const pool_t *pool, const io_t *io, uint64_t disk) {
    uint64_t page = head_of(a, pool, READ_PAGE(io->lba)), last = a->head[disk];
    a->head[disk] = page;
    int follows = page == last || page == last + pool->disk_count;
    if (follows && pool->media_follows) return pool->media_sequential_ns;
    return reads_media(io) ? pool->media_ns : pool->media_write_ns;
}

/* On its way to the media a copy has where it goes from there: the pool's page, and above it the
 * row of the pool that it is read from. */
#define COPY_POOL_SHIFT PAGE_NUMBER_BITS

static inline pool_t *pool_at_media(const array_t *a, const io_t *io) {
    if (io->op == OP_COPY) return &a->pool[io->first_data_ns >> COPY_POOL_SHIFT];
    return &a->pool[a->volume[a->itl[io->itl].volume].pool];
}

/* The disk that an access goes to, counted over those of all pools. */
static inline uint64_t disk_of(const array_t *a, const io_t *io) {
    const pool_t *pool = pool_at_media(a, io);
    return pool->disk_base + READ_PAGE(io->lba) % pool->disk_count;
}

/* Gives an access its place on its disk; returns when that is done with it. */
static inline int64_t media_commit(array_t *a, io_t *io) {
    pool_t *pool = pool_at_media(a, io);
    uint64_t at = disk_of(a, io);
    int64_t *disk = &a->disk[at], service = pool->media_ns;
    if (pool->media_varies) service = media_mean(a, pool, io, at);
    if (pool->exponential) {
        uint64_t w[4] = {0, io->first_data_ns};
        if (io->op != OP_READ) media_draw(a, io, w);
        service = exponential_ns(service, w[1]);
    }
    if (io->op == OP_READ) io->first_data_ns = 0;
    if (pool->faults) {
        service = slowed(a, pool->faults, FAULT_MEDIA_SLOW, io, service);
        if (reads_media(io))
            spoil(a, pool->faults, FAULT_MEDIA_ERROR, io, SENSE_UNRECOVERED_READ);
        if (io->sense) io->first_data_ns = 0; /* a copy goes no further */
    }
    *disk = later(io->time, *disk) + service;
    pool->media_busy_ns += (uint64_t)service;
    return *disk;
}

#endif
