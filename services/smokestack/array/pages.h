/* The page map: which pages of which volume have physical space, in one open-addressing table.
 *
 * Four neighbouring pages share a cache line, so runs and large commands cost one miss, not many.
 * A place that is taken sends the search to the same lane of the next line, for lines fill whole:
 * place by place it would walk through all that a neighbour filled.  The lane is mixed with the
 * line's hash, so that pages at a stride do not crowd into one.
 */
#ifndef SMOKESTACK_ARRAY_PAGES_H
#define SMOKESTACK_ARRAY_PAGES_H

#include "tables.h"

#define PAGE_NUMBER_BITS 40
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

/* The place that holds the key, or the empty place where it would go. */
static inline page_t *page_find(page_t *pages, uint64_t mask, uint64_t key) {
    uint64_t at = page_home(key, mask);
    while (pages[at].key != key && pages[at].key != 0) at = page_after(at, mask);
    return &pages[at];
}

/* Copies every page but those of `without` (a volume, or NIL) into an empty table. */
static inline uint64_t pages_copy(
    const page_t *from, uint64_t rows, page_t *to, uint64_t mask, uint32_t without) {
    uint64_t copied = 0;
    for (uint64_t i = 0; i < rows; i++) {
        if (from[i].key == 0) continue;
        if (without != NIL && (from[i].key >> PAGE_NUMBER_BITS) == (uint64_t)without + 1) continue;
        *page_find(to, mask, from[i].key) = from[i];
        copied++;
    }
    return copied;
}

/* Maps so many of a volume's unmapped pages, in ascending order; the table has room for them. */
static inline void pages_fill(
    page_t *pages, uint64_t mask, uint32_t volume, pool_t *pool, uint64_t count) {
    for (uint64_t page = 0, mapped = 0; mapped < count; page++) {
        page_t *at = page_find(pages, mask, page_key(volume, page));
        __builtin_prefetch(&pages[page_home(page_key(volume, page + 64), mask)], 1);
        if (at->key != 0) continue;
        *at = (page_t){page_key(volume, page), pool->next_page++};
        mapped++;
    }
}

#endif
