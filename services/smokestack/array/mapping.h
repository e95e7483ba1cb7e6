/* Every change of the page map: pages that volumes take, share with snapshots and clones, and
 * give back.  Sums are kept here and nowhere else:
 *
 * - a pool's allocated_pages is the number of distinct physical pages in the map;
 * - a row without PAGE_SHARED is its page's only one, a row with it has an entry in the share
 *   table, which counts the rows: so many of volumes, so many of snapshots;
 * - a pool's snapshot_pages are those that no volume has;
 * - a page that a volume takes comes out of its room (growth.h), as far as it has any.
 */
#ifndef SMOKESTACK_ARRAY_MAPPING_H
#define SMOKESTACK_ARRAY_MAPPING_H

#include "blocks.h"
#include "context.h"
#include "pages.h"

#define ONE_SNAPSHOT ((uint64_t)1)
#define ONE_VOLUME ((uint64_t)1 << 32)

static inline uint64_t holder(const volume_t *v) {
    return v->is_snapshot ? ONE_SNAPSHOT : ONE_VOLUME;
}

static inline page_t *volume_page(const array_t *a, uint32_t v, uint64_t page) {
    return page_find(a->page, a->page_mask, page_key(v, page));
}

static inline page_t *share_of(const array_t *a, uint32_t pool, uint64_t physical) {
    return page_find(a->share, a->share_mask, page_key(pool, physical & ~PAGE_SHARED));
}

static inline uint64_t *holders_of(page_t *share) { return &share->physical; }

static inline void share_end(array_t *a, page_t *share) {
    page_remove(a->share, a->share_mask, share);
    a->state->share_count--;
}

/* Puts a row into an empty place of the map. */
static inline void row_put(array_t *a, uint32_t v, page_t *at, uint64_t page, uint64_t physical) {
    volume_t *volume = &a->volume[v];
    *at = (page_t){page_key(v, page), physical};
    if (volume->allocated_pages == 0) volume->first_page = volume->last_page = page;
    if (page < volume->first_page) volume->first_page = page;
    if (page > volume->last_page) volume->last_page = page;
    volume->allocated_pages++;
    a->state->page_count++;
}

/* Gives up one row's hold on a page of the pool; returns 1 if that freed it, for nobody else has
 * it. */
static uint64_t page_release(array_t *a, const volume_t *volume, uint64_t physical) {
    pool_t *pool = &a->pool[volume->pool];
    if (physical & PAGE_SHARED) {
        page_t *share = share_of(a, volume->pool, physical);
        uint64_t left = *holders_of(share) -= holder(volume);
        if (left) {
            pool->snapshot_pages += !volume->is_snapshot && left < ONE_VOLUME;
            return 0;
        }
        share_end(a, share);
    }
    pool->snapshot_pages -= volume->is_snapshot;
    pool->allocated_pages--;
    return 1;
}

/* Where a page of a volume lies that was never written; PAGE_NONE: it has no place. */
static inline uint64_t page_ready(const array_t *a, uint32_t v, uint64_t page) {
    const extent_t *extent;
    for (uint64_t next = a->volume[v].first_extent; next; next = extent->next) {
        extent = &a->extent[next - 1];
        if (page >= extent->page) return extent->physical + (page - extent->page);
    }
    return PAGE_NONE;
}

/* Hands a page of the pool to a volume: one that lies ready for it, or one never handed out. */
static inline uint64_t page_take(array_t *a, uint32_t v, uint64_t ready) {
    volume_t *volume = &a->volume[v];
    pool_t *pool = &a->pool[volume->pool];
    uint64_t had = volume->room_pages != 0;
    volume->room_pages -= had;
    pool->room_pages -= had;
    pool->allocated_pages++;
    return ready == PAGE_NONE ? pool->next_page++ : ready;
}

/* Gives an unmapped page of a volume space of its own. */
static inline void page_map(array_t *a, uint32_t v, page_t *at, uint64_t page) {
    row_put(a, v, at, page, page_take(a, v, page_ready(a, v, page)));
}

/* Takes a page from a volume; returns 1 if that freed space. */
static uint64_t page_unmap(array_t *a, uint32_t v, page_t *row) {
    uint64_t physical = row->physical;
    if (a->state->block_count) {
        uint64_t blocks = a->pool[a->volume[v].pool].page_bytes / BLOCK_BYTES;
        blocks_clear(a, v, (row->key & PAGE_NUMBER_MASK) * blocks, blocks);
    }
    page_remove(a->page, a->page_mask, row);
    a->volume[v].allocated_pages--;
    a->state->page_count--;
    return page_release(a, &a->volume[v], physical);
}

/* Whether a write to a mapped page needs a new one.  A page whose other holders are gone by now is
 * found out here to be its volume's own. */
static inline int page_is_shared(array_t *a, uint32_t v, page_t *row) {
    if (!(row->physical & PAGE_SHARED)) return 0;
    page_t *share = share_of(a, a->volume[v].pool, row->physical);
    if (*holders_of(share) != ONE_VOLUME) return 1;
    share_end(a, share);
    row->physical &= ~PAGE_SHARED;
    return 0;
}

/* Copy on write: a volume leaves a shared page to the others and takes a new one. */
static void page_part(array_t *a, uint32_t v, page_t *row) {
    uint64_t left = row->physical;
    row->physical = page_take(a, v, PAGE_NONE);
    a->pool[a->volume[v].pool].copied_pages++;
    page_release(a, &a->volume[v], left);
}

/* Gives an empty volume or snapshot every page of another, to share; the tables have room. */
static uint64_t pages_share(array_t *a, uint32_t from, uint32_t to) {
    const volume_t *source = &a->volume[from], *target = &a->volume[to];
    pool_t *pool = &a->pool[source->pool];
    walk_t walk = walk_of(source, from, a->page_mask);
    for (page_t *row; (row = walk_on(&walk, a->page, a->page_mask));) {
        page_t *share = share_of(a, source->pool, row->physical);
        if (!(row->physical & PAGE_SHARED)) {
            *share = (page_t){page_key(source->pool, row->physical), holder(source)};
            row->physical |= PAGE_SHARED;
            a->state->share_count++;
        }
        pool->snapshot_pages -= !target->is_snapshot && *holders_of(share) < ONE_VOLUME;
        *holders_of(share) += holder(target);
        uint64_t page = row->key & PAGE_NUMBER_MASK;
        row_put(a, to, volume_page(a, to, page), page, row->physical);
    }
    blocks_copy(a, from, to);
    return target->allocated_pages;
}

/* Takes all pages from a volume or snapshot, and its room; returns how many that freed. */
static uint64_t pages_drop(array_t *a, uint32_t v) {
    uint64_t freed = a->volume[v].room_pages;
    a->pool[a->volume[v].pool].room_pages -= freed;
    a->volume[v].room_pages = 0;
    walk_t walk = walk_of(&a->volume[v], v, a->page_mask);
    for (page_t *row; (row = walk_on(&walk, a->page, a->page_mask));) {
        freed += page_unmap(a, v, row);
        walk_again(&walk, a->page, row);
    }
    return freed;
}

/* Maps so many of a volume's unmapped pages, in ascending order; the table has room for them. */
static void pages_fill(array_t *a, uint32_t v, uint64_t count) {
    for (uint64_t page = 0, mapped = 0; mapped < count; page++) {
        page_t *at = volume_page(a, v, page);
        __builtin_prefetch(&a->page[page_home(page_key(v, page + 64), a->page_mask)], 1);
        if (at->key != 0) continue;
        page_map(a, v, at, page);
        mapped++;
    }
}

#endif
