/* Where commands end and what writes take: addresses, and the pages of thin pools. */
#ifndef SMOKESTACK_ARRAY_SPACE_H
#define SMOKESTACK_ARRAY_SPACE_H

#include "context.h"
#include "pages.h"

/* Most pages that a write may map, whatever its pool's page size (at least 4 KiB). */
static inline uint32_t page_bound(const submission_t *s) {
    return s->op == OP_WRITE ? s->length / 4096u + 2u : 0;
}

/* Where the command ends: the volume has it, or why it cannot. */
static inline uint32_t io_sense(const array_t *a, const io_t *io) {
    const itl_t *itl = &a->itl[io->itl];
    const volume_t *volume = &a->volume[itl->volume];
    if (!itl->valid || !volume->valid) return SENSE_LU_NOT_SUPPORTED;
    uint64_t end;
    if (io->length == 0 || __builtin_mul_overflow(io->lba, (uint64_t)BLOCK_BYTES, &end) ||
        __builtin_add_overflow(end, (uint64_t)io->length, &end) || end > volume->capacity_bytes)
        return SENSE_LBA_OUT_OF_RANGE;
    return SENSE_NONE;
}

/* Notes that a page has a new physical number, or PAGE_NONE: none any more; `needs` has made room.
 * Every change that I/O makes to the page map is noted here, so that repeating the notes in order
 * makes the same map.  What management calls change is not noted, for the calls are repeated. */
static inline void page_note(array_t *a, uint64_t key, uint64_t physical) {
    if (a->state->delta_kept) a->delta[a->state->delta_count++] = (page_t){key, physical};
}

/* Refuses a write that the pool has no space for; the first one is an event. */
static void refuse_space(array_t *a, io_t *io, uint32_t v, pool_t *pool, uint64_t missing) {
    pool->failures++;
    io->sense = SENSE_SPACE_ALLOCATION_FAILED;
    if (!pool->exhausted) {
        uint64_t left = pool->capacity_pages - pool->allocated_pages; /* less than is missing */
        pool->exhausted = NOTE(a->state, a->note, .time = io->time, .kind = NOTE_POOL_EXHAUSTED,
                               .subject = a->volume[v].pool, .detail = v,
                               .more = missing << 32 | left);
    }
    io->lba = pool->exhausted;
}

/* Maps what a write touches, all or nothing; returns the first page's physical number. */
static uint64_t write_pages(array_t *a, io_t *io, uint32_t v, pool_t *pool) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    const page_t *found = page_find(a->page, a->page_mask, page_key(v, first));
    uint64_t missing = found->key == 0;
    for (uint64_t p = first + 1; p <= last; p++)
        missing += page_find(a->page, a->page_mask, page_key(v, p))->key == 0;
    if (missing == 0) return found->physical;
    if (pool->allocated_pages + missing > pool->capacity_pages) {
        refuse_space(a, io, v, pool, missing);
        return PAGE_NONE;
    }
    for (uint64_t p = first; p <= last; p++) {
        page_t *page = page_find(a->page, a->page_mask, page_key(v, p));
        if (page->key != 0) continue;
        *page = (page_t){page_key(v, p), pool->next_page++};
        page_note(a, page->key, page->physical);
    }
    pool->allocated_pages += missing;
    a->volume[v].allocated_pages += missing;
    a->state->page_count += missing;
    return page_find(a->page, a->page_mask, page_key(v, first))->physical;
}

/* Repeats what was noted; the table has room.  Sums follow from what is mapped. */
static void pages_repeat(array_t *a, const page_t *notes, uint64_t count) {
    for (uint64_t n = 0; n < count; n++) {
        uint32_t v = (uint32_t)((notes[n].key >> PAGE_NUMBER_BITS) - 1);
        pool_t *pool = &a->pool[a->volume[v].pool];
        page_t *page = page_find(a->page, a->page_mask, notes[n].key);
        if (page->key == 0) {
            pool->allocated_pages++;
            a->volume[v].allocated_pages++;
            a->state->page_count++;
        }
        *page = notes[n];
        if (pool->next_page <= notes[n].physical) pool->next_page = notes[n].physical + 1;
    }
}

/* The physical number of the first mapped page that a read touches, or PAGE_NONE. */
static uint64_t read_page(const array_t *a, const io_t *io, uint32_t v, const pool_t *pool) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    for (uint64_t p = first; p <= last; p++) {
        const page_t *page = page_find(a->page, a->page_mask, page_key(v, p));
        if (page->key != 0) return page->physical;
    }
    return PAGE_NONE;
}

#endif
