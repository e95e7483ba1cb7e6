/* Blocks with a value: what COMPARE AND WRITE has put where hosts keep their locks.
 *
 * Arrays hold no data; only these blocks have a value, from 1 to 7, in a table like that of pages.
 * Every other block has 0.  A block with a value lies in a page that its volume has: who loses the
 * page loses the value.
 */
#ifndef SMOKESTACK_ARRAY_BLOCKS_H
#define SMOKESTACK_ARRAY_BLOCKS_H

#include "context.h"
#include "pages.h"

#define BLOCK_NUMBER_BITS 41

static inline uint64_t block_key(uint32_t v, uint64_t block) {
    return ((uint64_t)v + 1) << BLOCK_NUMBER_BITS | block;
}

static inline uint64_t block_value(const array_t *a, uint32_t v, uint64_t block) {
    return page_find(a->block, a->block_mask, block_key(v, block))->physical; /* 0: no row */
}

static void block_remove(array_t *a, page_t *row) {
    page_remove(a->block, a->block_mask, row);
    a->state->block_count--;
}

/* Gives a block a value; the table has room. */
static void block_put(array_t *a, uint32_t v, uint64_t block, uint64_t value) {
    array_state_t *s = a->state;
    uint64_t key = block_key(v, block);
    page_t *row = page_find(a->block, a->block_mask, key);
    if (value == 0) {
        if (row->key != 0) block_remove(a, row);
        return;
    }
    if (row->key == 0) {
        if (s->block_count++ == 0) s->block_low = s->block_high = key;
        if (key < s->block_low) s->block_low = key;
        if (key > s->block_high) s->block_high = key;
    }
    *row = (page_t){key, value};
}

/* Takes the values from a range of blocks, block by block or place by place, whichever is less to
 * look at; returns how many had one. */
static __attribute__((noinline)) uint64_t blocks_find_and_clear(
    array_t *a, uint64_t from, uint64_t count) {
    uint64_t had = a->state->block_count, at = 0;
    if (count <= a->block_mask) {
        for (uint64_t key = from; key < from + count; key++) {
            page_t *row = page_find(a->block, a->block_mask, key);
            if (row->key != 0) block_remove(a, row);
        }
        return had - a->state->block_count;
    }
    for (uint64_t left = a->block_mask + 1; left; left--) {
        while (a->block[at].key - from < count && a->block[at].key != 0)
            block_remove(a, &a->block[at]); /* another one may stand there now */
        at = page_after(at, a->block_mask);
    }
    return had - a->state->block_count;
}

static inline uint64_t blocks_clear(array_t *a, uint32_t v, uint64_t first, uint64_t count) {
    const array_state_t *s = a->state;
    uint64_t from = block_key(v, first);
    if (s->block_count == 0 || from > s->block_high || from + count <= s->block_low) return 0;
    return blocks_find_and_clear(a, from, count);
}

/* Whether any block of a range has a value, in order or place by place as above. */
static int blocks_any(const array_t *a, uint32_t v, uint64_t first, uint64_t count) {
    const array_state_t *s = a->state;
    uint64_t from = block_key(v, first);
    if (s->block_count == 0 || from > s->block_high || from + count <= s->block_low) return 0;
    if (count <= a->block_mask) {
        for (uint64_t key = from; key < from + count; key++)
            if (page_find(a->block, a->block_mask, key)->key != 0) return 1;
        return 0;
    }
    for (uint64_t at = 0; at <= a->block_mask; at++)
        if (a->block[at].key - from < count && a->block[at].key != 0) return 1;
    return 0;
}

/* Gives an empty volume or snapshot the values of another; the table has room for twice as many. */
static void blocks_copy(array_t *a, uint32_t from, uint32_t to) {
    if (a->state->block_count == 0) return;
    for (uint64_t at = 0; at <= a->block_mask; at++) {
        page_t row = a->block[at];
        if (row.key >> BLOCK_NUMBER_BITS == (uint64_t)from + 1)
            block_put(a, to, row.key & (((uint64_t)1 << BLOCK_NUMBER_BITS) - 1), row.physical);
    }
}

/* Among the notes of changed pages: so many blocks, from the one of the key on, have a value.  The
 * block's number may have a bit more than the key's has room for. */
#define BLOCKS_NOTED ((uint64_t)1 << 62)

static inline void blocks_note(
    array_t *a, uint32_t v, uint64_t first, uint64_t count, uint64_t value) {
    if (!a->state->delta_kept) return;
    a->delta[a->state->delta_count++] =
        (page_t){page_key(v, first & PAGE_NUMBER_MASK),
                 BLOCKS_NOTED | count << 16 | (first >> PAGE_NUMBER_BITS) << 8 | value};
}

/* Repeats such a note; the table has room. */
static void blocks_repeat(array_t *a, uint32_t v, const page_t *note) {
    uint64_t first = (note->physical >> 8 & 1) << PAGE_NUMBER_BITS |
                     (note->key & PAGE_NUMBER_MASK);
    uint64_t value = note->physical & 0xFF, count = (note->physical & ~BLOCKS_NOTED) >> 16;
    if (value) block_put(a, v, first, value);
    else blocks_clear(a, v, first, count);
}

#endif
