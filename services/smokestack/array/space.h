/* Where commands end and what writes take: addresses, and the pages of thin pools. */
#ifndef SMOKESTACK_ARRAY_SPACE_H
#define SMOKESTACK_ARRAY_SPACE_H

#include "mapping.h"

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

/* How many pages of the pool a write needs: those unmapped, and those that it shares. */
static uint64_t pages_needed(array_t *a, uint32_t v, uint64_t first, uint64_t last) {
    uint64_t needed = 0;
    for (uint64_t p = first; p <= last; p++) {
        page_t *row = volume_page(a, v, p);
        needed += row->key == 0 || page_is_shared(a, v, row);
    }
    return needed;
}

/* Takes what a write touches, all or nothing; returns the first page's physical number. */
static uint64_t write_pages(array_t *a, io_t *io, uint32_t v, pool_t *pool) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    const page_t *found = volume_page(a, v, first);
    uint64_t news = found->key == 0 || found->physical & PAGE_SHARED;
    for (uint64_t p = first + 1; p <= last; p++) {
        const page_t *row = volume_page(a, v, p);
        news |= row->key == 0 || row->physical & PAGE_SHARED;
    }
    if (!news) return found->physical;
    uint64_t needed = pages_needed(a, v, first, last);
    if (pool->allocated_pages + needed > pool->capacity_pages) {
        refuse_space(a, io, v, pool, needed);
        return PAGE_NONE;
    }
    for (uint64_t p = first; p <= last; p++) {
        page_t *row = volume_page(a, v, p);
        if (row->key == 0) page_map(a, v, row, p);
        else if (row->physical & PAGE_SHARED) page_part(a, v, row);
        else continue;
        page_note(a, row->key, row->physical);
    }
    return volume_page(a, v, first)->physical;
}

/* Repeats what was noted, as far as it is not so already; the table has room.  Sums follow from
 * what is mapped. */
static void pages_repeat(array_t *a, const page_t *notes, uint64_t count) {
    for (uint64_t n = 0; n < count; n++) {
        uint32_t v = (uint32_t)((notes[n].key >> PAGE_NUMBER_BITS) - 1);
        uint64_t physical = notes[n].physical;
        pool_t *pool = &a->pool[a->volume[v].pool];
        page_t *row = page_find(a->page, a->page_mask, notes[n].key);
        if (physical == PAGE_NONE) {
            if (row->key != 0) page_unmap(a, v, row);
            continue;
        }
        if (row->key != 0 && (row->physical & ~PAGE_SHARED) == physical) continue;
        uint64_t next = physical < pool->next_page ? pool->next_page : physical + 1;
        if (row->key == 0) page_map(a, v, row, notes[n].key & PAGE_NUMBER_MASK);
        else page_part(a, v, row);
        row->physical = physical;
        pool->next_page = next;
    }
}

/* The physical number of the first mapped page that a read touches, or PAGE_NONE. */
static uint64_t read_page(const array_t *a, const io_t *io, uint32_t v, const pool_t *pool) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    for (uint64_t p = first; p <= last; p++) {
        const page_t *page = volume_page(a, v, p);
        if (page->key != 0) return page->physical & ~PAGE_SHARED;
    }
    return PAGE_NONE;
}

#endif
