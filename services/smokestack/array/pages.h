/* The page map: which pages of which volume have physical space, in one open-addressing table.
 *
 * Four neighbouring pages share a cache line, so runs and large commands cost one miss, not many.
 * A place that is taken sends the search to the same lane of the next line, for lines fill whole:
 * place by place it would walk through all that a neighbour filled.  The lane is mixed with the
 * line's hash, so that pages at a stride do not crowd into one.
 *
 * A second table of the same kind says how many have a page that is shared.
 */
#ifndef SMOKESTACK_ARRAY_PAGES_H
#define SMOKESTACK_ARRAY_PAGES_H

#include "tables.h"

#define PAGE_NUMBER_BITS 40
#define PAGE_NUMBER_MASK (((uint64_t)1 << PAGE_NUMBER_BITS) - 1)
#define PAGE_SHARED ((uint64_t)1 << 63)
#define PAGE_NONE UINT64_MAX

static inline uint64_t page_key(uint32_t volume, uint64_t page) {
    return ((uint64_t)volume + 1) << PAGE_NUMBER_BITS | page;
}

/* The page that a byte of a volume lies in; a division only where the size is no power of two. */
static inline uint64_t page_of(const pool_t *pool, uint64_t byte) {
    uint64_t size = pool->page_bytes;
    return size & (size - 1) ? byte / size : byte >> (__builtin_ctzll(size) & 63);
}

/* Where the search for a key begins; `mask` is the table's size, a power of two, less one.  The
 * volume is folded in first, for a product's low bits know nothing of its factors' high bits. */
static inline uint64_t page_home(uint64_t key, uint64_t mask) {
    uint64_t line = key >> 2;
    uint64_t h = (line ^ line >> 29) * 0x9E3779B97F4A7C15u;
    return ((h >> 32) << 2 | ((key ^ h >> 28) & 3)) & mask;
}

/* Where it goes on; past the end it begins the next lane, so that it comes to every place. */
static inline uint64_t page_after(uint64_t at, uint64_t mask) {
    at += 4;
    return at <= mask ? at : (at + 1) & 3;
}

/* How far a place is along that way, from place 0. */
static inline uint64_t page_rank(uint64_t at, uint64_t mask) {
    return (at & 3) * ((mask + 1) >> 2) + (at >> 2);
}

/* The place that holds the key, or the empty place where it would go. */
static inline page_t *page_find(page_t *pages, uint64_t mask, uint64_t key) {
    uint64_t at = page_home(key, mask);
    while (pages[at].key != key && pages[at].key != 0) at = page_after(at, mask);
    return &pages[at];
}

/* Empties a place, and moves up those behind it whose search would end there now. */
static void page_remove(page_t *pages, uint64_t mask, page_t *row) {
    uint64_t hole = (uint64_t)(row - pages), at = hole;
    for (;;) {
        at = page_after(at, mask);
        if (pages[at].key == 0) break;
        uint64_t home = page_rank(page_home(pages[at].key, mask), mask);
        uint64_t way = (page_rank(at, mask) - home) & mask;
        if (way < ((page_rank(at, mask) - page_rank(hole, mask)) & mask)) continue;
        pages[hole] = pages[at];
        hole = at;
    }
    pages[hole] = (page_t){0, 0};
}

/* Copies every row into an empty table. */
static inline void pages_copy(const page_t *from, uint64_t rows, page_t *to, uint64_t mask) {
    for (uint64_t i = 0; i < rows; i++)
        if (from[i].key != 0) *page_find(to, mask, from[i].key) = from[i];
}

/* A walk through a volume's mapped pages: by their numbers, or place by place, whichever is less
 * to look at.  It ends with the last of them, so that an empty volume costs nothing. */
typedef struct {
    uint32_t volume;
    int by_place;
    uint64_t left; /* pages still to come */
    uint64_t next; /* number or place to look at */
} walk_t;

static inline walk_t walk_of(const volume_t *volume, uint32_t v, uint64_t mask) {
    int by_place = volume->last_page - volume->first_page > mask;
    return (walk_t){v, by_place, volume->allocated_pages, by_place ? 0 : volume->first_page};
}

static inline page_t *walk_on(walk_t *w, page_t *pages, uint64_t mask) {
    if (w->left == 0) return NULL;
    w->left--;
    for (;;) {
        page_t *row;
        if (w->by_place) {
            row = &pages[w->next];
            w->next = page_after(w->next, mask);
            if (row->key >> PAGE_NUMBER_BITS == (uint64_t)w->volume + 1) return row;
        } else {
            row = page_find(pages, mask, page_key(w->volume, w->next++));
            if (row->key != 0) return row;
        }
    }
}

/* After a row was removed another one may stand in its place. */
static inline void walk_again(walk_t *w, const page_t *pages, const page_t *row) {
    if (w->by_place) w->next = (uint64_t)(row - pages);
}

#endif
