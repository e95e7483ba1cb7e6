/* A controller's read cache of a size: which blocks it has, and which of them goes (CLOCK).
 *
 * A block is a part of a page of a pool.  What a command touches first stands for all of it, as its
 * first page does at the media.  A block comes in when the media have given it, and when it is
 * written to a cache that writes back; a hit marks it, and the hand that looks for room passes over
 * marked ones once, and takes the mark.  Physical pages are never handed out again, so a block of a
 * page that is given back is not found any more, and goes in its turn.
 */
#ifndef SMOKESTACK_ARRAY_READS_H
#define SMOKESTACK_ARRAY_READS_H

#include "space.h"

#define READ_FETCHED 0xFF0001u /* in place of a sense, from the media on: it will be kept */
#define READ_BLOCK_SHIFT 44    /* above the physical page, on the way to the media */
#define READ_PAGE(lba) ((lba) & (((uint64_t)1 << READ_BLOCK_SHIFT) - 1))

/* Which block of its page a command touches first; a page that it enters later, at its front. */
static uint64_t read_block(
    const array_t *a, const read_cache_t *r, const io_t *io, uint32_t v, const pool_t *pool) {
    uint64_t byte = io->lba * BLOCK_BYTES, page = page_of(pool, byte);
    if (volume_page(a, v, page)->key == 0 && !a->volume[v].first_extent) return 0;
    return (byte - page * pool->page_bytes) / r->block_bytes;
}

/* The physical page with its block above it, as commands carry them to the media. */
static inline uint64_t read_place(uint64_t physical, uint64_t block) {
    return block << READ_BLOCK_SHIFT | physical;
}

static uint64_t read_key(
    const array_t *a, const read_cache_t *r, uint32_t v, uint64_t place) {
    const pool_t *pool = &a->pool[a->volume[v].pool];
    uint64_t blocks = (pool->page_bytes + r->block_bytes - 1) / r->block_bytes;
    uint64_t number = READ_PAGE(place) * blocks + (place >> READ_BLOCK_SHIFT);
    return ((uint64_t)a->volume[v].pool + 1) << 48 | number;
}

static inline page_t *read_row(const array_t *a, const read_cache_t *r, uint64_t key) {
    return page_find(&a->read_index[r->index_base], r->index_mask, key);
}

/* Whether a cache has a block; then it is marked. */
static int read_hit(const array_t *a, const read_cache_t *r, uint32_t v, uint64_t place) {
    const page_t *row = read_row(a, r, read_key(a, r, v, place));
    if (row->key != 0) a->read_slot[r->slot_base + row->physical].marked = 1;
    return row->key != 0;
}

/* The slot that the hand stops at, emptied. */
static uint64_t read_evict(const array_t *a, read_cache_t *r) {
    for (;;) {
        uint64_t at = r->hand;
        read_slot_t *slot = &a->read_slot[r->slot_base + at];
        r->hand = at + 1 < r->slot_count ? at + 1 : 0;
        if (!slot->marked) {
            page_remove(&a->read_index[r->index_base], r->index_mask, read_row(a, r, slot->key));
            r->evictions++;
            return at;
        }
        slot->marked = 0;
    }
}

/* Takes a block in, or marks the one that is there. */
static void read_keep(const array_t *a, uint32_t controller, uint32_t v, uint64_t place) {
    read_cache_t *r = &a->read_cache[controller];
    uint64_t key = read_key(a, r, v, place);
    if (!r->slot_count || read_hit(a, r, v, place)) return;
    uint64_t at = r->used < r->slot_count ? r->used++ : read_evict(a, r);
    a->read_slot[r->slot_base + at] = (read_slot_t){.key = key};
    *read_row(a, r, key) = (page_t){key, at};
}

/* Whether a mapped read is served from the cache of a size that its controller has. */
static int reads_find(
    const array_t *a, const io_t *io, uint32_t v, uint32_t controller, uint64_t *place) {
    const read_cache_t *r = &a->read_cache[controller];
    *place = read_place(*place, read_block(a, r, io, v, &a->pool[a->volume[v].pool]));
    return read_hit(a, r, v, *place);
}

/* Takes in what a write leaves in the cache. */
static void reads_written(
    const array_t *a, const io_t *io, uint32_t controller, uint64_t physical) {
    uint32_t v = a->itl[io->itl].volume;
    const read_cache_t *r = &a->read_cache[controller];
    uint64_t block = read_block(a, r, io, v, &a->pool[a->volume[v].pool]);
    read_keep(a, controller, v, read_place(physical, block));
}

#endif
