/* Where commands end and what writes take: addresses, and the pages of thin pools. */
#ifndef SMOKESTACK_ARRAY_SPACE_H
#define SMOKESTACK_ARRAY_SPACE_H

#include "growth.h"

/* Most pages that a command may map or unmap, whatever its pool's page size (at least 4 KiB). */
static inline uint32_t page_bound(const submission_t *s) {
    if (s->op == OP_READ || s->op == OP_TEST_UNIT_READY) return 0;
    return s->length / 4096u + 2u;
}

/* Before the controller a command's `sense` says what it may map, and has its flags. */
#define FLAGS_SHIFT 24

static inline uint32_t pages_promised(const io_t *io) {
    return io->sense & ((1u << FLAGS_SHIFT) - 1);
}

static inline uint32_t flags_of(const io_t *io) { return io->sense >> FLAGS_SHIFT; }

/* From where and to where a copy goes, as addresses of blocks. */
static inline uint64_t copy_source(const io_t *io) {
    return (io->lba >> COPY_PLACE_BITS) * COPY_UNIT_BLOCKS;
}

static inline uint64_t copy_destination(const io_t *io) {
    return (io->lba & ((1u << COPY_PLACE_BITS) - 1)) * COPY_UNIT_BLOCKS;
}

/* Whether a volume has a range that begins below block 2^38, as a copy's do. */
static inline uint32_t copy_sense(const volume_t *volume, uint64_t block, uint32_t length) {
    uint64_t end = block * BLOCK_BYTES + length;
    return length && end <= volume->capacity_bytes ? SENSE_NONE : SENSE_LBA_OUT_OF_RANGE;
}

/* Where the command ends: the volume has it, or why it cannot. */
static inline uint32_t io_sense(const array_t *a, const io_t *io) {
    const itl_t *itl = &a->itl[io->itl];
    const volume_t *volume = &a->volume[itl->volume];
    if (!itl->valid || !volume->valid) return SENSE_LU_NOT_SUPPORTED;
    if (io->op == OP_TEST_UNIT_READY) return SENSE_NONE;
    if (io->op == OP_COPY) return copy_sense(volume, copy_destination(io), io->length);
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

/* Notes that a snapshot has lost all its pages at once. */
#define PAGE_ALL PAGE_NUMBER_MASK

/* Refuses a write that the pool has no space for, in its own way; the first one is an event. */
static __attribute__((cold)) void refuse_space(
    array_t *a, io_t *io, uint32_t v, uint64_t missing) {
    array_state_t *s = a->state;
    volume_t *volume = &a->volume[v];
    pool_t *pool = &a->pool[volume->pool];
    pool->failures++;
    if (!pool->exhausted) {
        uint64_t left = pool_free(a, pool); /* less than is missing */
        pool->exhausted = NOTE(s, a->note, .time = io->time, .kind = NOTE_POOL_EXHAUSTED,
                               .subject = volume->pool, .detail = v,
                               .more = missing << 32 | left);
    }
    io->lba = pool->exhausted;
    io->sense = SENSE_SPACE_ALLOCATION_FAILED;
    if (pool->out_of_space == FULL_BUSY) io->sense = ANSWER_BUSY;
    if (pool->out_of_space == FULL_CONSERVES) pool->emergency = 1;
    if (pool->out_of_space != FULL_OFFLINE) return;
    io->sense = SENSE_UNAVAILABLE;
    pool->offline_count += !volume->offline;
    io->lba = volume->offline = NOTE(s, a->note, .time = io->time, .kind = NOTE_VOLUME_OFFLINE,
                                     .subject = v, .cause = pool->exhausted);
}

/* The pages that a write touches, and what it does with those from `whole` to `after`, which it
 * fills with zeros: those that are not mapped stay so, or all of them are to be freed. */
typedef struct {
    uint64_t first, last, whole, after;
    uint32_t zeros; /* as a volume's zero_detect; ZEROS_WRITTEN: no page is special */
    uint32_t from;  /* of a copy of which something is mapped: row + 1 of what it is read from */
    uint64_t page_bytes;
    uint64_t shift; /* ... whose byte is this much more */
    uint64_t end;   /* ... up to here */
} cover_t;

static inline cover_t cover_of(const array_t *a, const io_t *io, uint32_t v, uint32_t zeros) {
    const pool_t *pool = &a->pool[a->volume[v].pool];
    uint64_t begin = io->lba * BLOCK_BYTES, end = begin + io->length;
    cover_t c = {.first = page_of(pool, begin), .last = page_of(pool, end - 1), .zeros = zeros};
    c.whole = page_of(pool, begin + pool->page_bytes - 1);
    c.after = page_of(pool, end);
    if (end == a->volume[v].capacity_bytes) c.after = c.last + 1; /* the last one is cut short */
    return c;
}

/* Whether anything is mapped of what a copy brings to a page. */
static __attribute__((noinline)) int brings_data(
    const array_t *a, const cover_t *c, uint64_t page) {
    uint32_t v = c->from - 1;
    const pool_t *pool = &a->pool[a->volume[v].pool];
    uint64_t begin = page * c->page_bytes + c->shift, end = begin + c->page_bytes;
    if (end > c->end) end = c->end; /* the last one is cut short */
    if (a->volume[v].first_extent) return 1;
    for (uint64_t p = page_of(pool, begin); p <= page_of(pool, end - 1); p++)
        if (volume_page(a, v, p)->key != 0) return 1;
    return 0;
}

/* Whether a page that a write touches is written; `row` is its place in the map. */
static inline int is_written(
    const array_t *a, const cover_t *c, uint64_t page, const page_t *row) {
    if (c->zeros == ZEROS_WRITTEN || page < c->whole || page >= c->after) return 1;
    if (c->from && brings_data(a, c, page)) return 1;
    return c->zeros == ZEROS_SKIPPED && row->key != 0;
}

/* How many pages of the pool a write needs: those unmapped, but for a thick volume, which has room
 * for them, and those that it shares. */
static uint64_t pages_needed(array_t *a, uint32_t v, const cover_t *c) {
    uint64_t needed = 0, unmapped = !a->volume[v].thick;
    for (uint64_t p = c->first; p <= c->last; p++) {
        page_t *row = volume_page(a, v, p);
        if (!is_written(a, c, p, row)) continue;
        needed += row->key == 0 ? unmapped : (uint64_t)page_is_shared(a, v, row);
    }
    return needed;
}

/* Whether another volume has any of the pages that are written. */
static int pages_meet(const array_t *a, uint32_t v, uint32_t other, const cover_t *c) {
    for (uint64_t p = c->first; p <= c->last; p++) {
        const page_t *one = volume_page(a, v, p), *two = volume_page(a, other, p);
        if (!is_written(a, c, p, one)) continue;
        if (one->key != 0 && two->key != 0 && one->physical == two->physical) return 1;
    }
    return 0;
}

/* Lets go of the snapshots that stand in a write's way: they hold nothing from here on.  A clone
 * does not let go, nor does a snapshot of another volume. */
static __attribute__((cold)) void snapshots_stale(
    array_t *a, io_t *io, uint32_t v, const cover_t *c) {
    uint32_t p = a->volume[v].pool;
    volume_t *snapshot;
    for (uint32_t next = a->volume[v].first_snapshot; next; next = snapshot->next_snapshot) {
        snapshot = &a->volume[next - 1];
        if (snapshot->stale || !pages_meet(a, v, next - 1, c)) continue;
        uint64_t freed = pages_drop(a, next - 1);
        page_note(a, page_key(next - 1, PAGE_ALL), PAGE_NONE);
        snapshot->stale = NOTE(a->state, a->note, .time = io->time, .kind = NOTE_SNAPSHOT_STALE,
                               .subject = next - 1, .detail = freed, .cause = a->pool[p].exhausted);
        if (freed) pool_ease(a, p, io->time, snapshot->stale);
    }
}

/* Lets a write have the pages that it needs, or refuses it; conserving takes its time. */
static int write_space(array_t *a, io_t *io, uint32_t v, const cover_t *c, int64_t *done) {
    pool_t *pool = &a->pool[a->volume[v].pool];
    uint64_t needed = pages_needed(a, v, c);
    if (needed && pool->conserving) *done += pool->conservation_ns;
    if (space_take(a, v, needed, io->time)) return 1;
    if (pool->out_of_space == FULL_STALES) {
        snapshots_stale(a, io, v, c);
        needed = pages_needed(a, v, c);
        if (space_take(a, v, needed, io->time)) return 1;
    }
    refuse_space(a, io, v, needed);
    return 0;
}

/* Maps the pages that are written, and parts those that are shared, for which there is room. */
static void pages_write(array_t *a, uint32_t v, const cover_t *c) {
    for (uint64_t p = c->first; p <= c->last; p++) {
        page_t *row = volume_page(a, v, p);
        if (!is_written(a, c, p, row)) continue;
        if (row->key == 0) page_map(a, v, row, p);
        else if (row->physical & PAGE_SHARED) page_part(a, v, row);
        else continue;
        page_note(a, row->key, row->physical);
    }
}

/* Takes what a write touches, all or nothing; returns the first page's physical number.  `done` is
 * later where the pool slows down. */
static uint64_t write_pages(array_t *a, io_t *io, uint32_t v, pool_t *pool, int64_t *done) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    if (pool->emergency) {
        refuse_space(a, io, v, 0);
        return PAGE_NONE;
    }
    const page_t *found = volume_page(a, v, first);
    uint64_t news = found->key == 0 || found->physical & PAGE_SHARED;
    for (uint64_t p = first + 1; p <= last; p++) {
        const page_t *row = volume_page(a, v, p);
        news |= row->key == 0 || row->physical & PAGE_SHARED;
    }
    if (!news) return found->physical;
    cover_t c = {.first = first, .last = last, .zeros = ZEROS_WRITTEN};
    if (!write_space(a, io, v, &c, done)) return PAGE_NONE;
    pages_write(a, v, &c);
    return volume_page(a, v, first)->physical;
}

/* Takes the pages that lie whole in a range from a volume, and gives what that frees back to the
 * pool; a page that reaches out of it stays, with zeros.  Returns how many the volume lost. */
static uint64_t unmap_pages(array_t *a, const io_t *io, uint32_t v, const cover_t *c) {
    uint64_t freed = 0, lost = 0;
    for (uint64_t page = c->whole; page < c->after; page++) {
        page_t *row = volume_page(a, v, page);
        if (row->key == 0 || (c->from && brings_data(a, c, page))) continue;
        freed += page_unmap(a, v, row);
        lost++;
        page_note(a, page_key(v, page), PAGE_NONE);
    }
    if (freed) pool_ease(a, a->volume[v].pool, io->time, 0);
    return lost;
}

static inline unit_t *unit_of(const array_t *a, uint32_t v) {
    return &a->unit[a->volume[v].unit];
}

/* The first page that is written, or PAGE_NONE; `skipped` counts those that are not. */
static uint64_t written_page(const array_t *a, uint32_t v, const cover_t *c, uint64_t *skipped) {
    uint64_t found = PAGE_NONE;
    for (uint64_t p = c->first; p <= c->last; p++) {
        const page_t *row = volume_page(a, v, p);
        if (!is_written(a, c, p, row)) ++*skipped;
        else if (found == PAGE_NONE) found = p;
    }
    return found;
}

/* Writes zeros where that is not the same as writing data: pages that lie whole in the range are
 * skipped or freed, and the rest is written, or nothing happens.  Returns the physical number of
 * the first page that was written, or PAGE_NONE. */
static uint64_t zero_pages(
    array_t *a, io_t *io, uint32_t v, const cover_t *c, uint64_t *skipped, int64_t *done) {
    uint64_t page = written_page(a, v, c, skipped), physical = PAGE_NONE;
    if (page != PAGE_NONE) {
        if (a->pool[a->volume[v].pool].emergency) refuse_space(a, io, v, 0);
        else if (write_space(a, io, v, c, done)) pages_write(a, v, c);
        if (io->sense) return PAGE_NONE;
        physical = volume_page(a, v, page)->physical;
    }
    return physical;
}

/* Writes what is to be written, and skips or gives back what gets zeros.  Returns the physical
 * number of the first page that was written, or PAGE_NONE. */
static uint64_t cover_write(
    array_t *a, io_t *io, uint32_t v, const cover_t *c, int gives, int64_t *done) {
    unit_t *unit = unit_of(a, v);
    if (c->zeros == ZEROS_WRITTEN)
        return write_pages(a, io, v, &a->pool[a->volume[v].pool], done);
    uint64_t skipped = 0, physical = zero_pages(a, io, v, c, &skipped, done);
    if (io->sense) return PAGE_NONE;
    uint64_t lost = c->zeros == ZEROS_FREED ? unmap_pages(a, io, v, c) : 0;
    if (gives) {
        unit->unmapped_pages += lost;
    } else if (skipped) {
        unit->zero_writes++;
        unit->zero_pages += skipped;
    }
    return physical;
}

/* Writes a block if it has the value that it is expected to have; else nothing changes.  Returns
 * the physical number of its page, or PAGE_NONE. */
static uint64_t compare_and_write(
    array_t *a, io_t *io, uint32_t v, uint32_t flags, int64_t *done) {
    unit_t *unit = unit_of(a, v);
    uint64_t block = io->lba;
    unit->compares++;
    if (block_value(a, v, block) != COMPARE_EXPECTED(flags)) {
        unit->miscompares++;
        io->sense = SENSE_MISCOMPARE;
        io->lba = 0; /* no event made it fail */
        return PAGE_NONE;
    }
    uint64_t physical = write_pages(a, io, v, &a->pool[a->volume[v].pool], done);
    if (io->sense) return PAGE_NONE;
    block_put(a, v, block, COMPARE_NEW(flags));
    blocks_note(a, v, block, 1, COMPARE_NEW(flags));
    return physical;
}

/* Whatever else has been written, or unmapped, takes the values of its blocks. */
static inline void values_lost(array_t *a, const io_t *io, uint32_t v) {
    if (io->op == OP_COMPARE_AND_WRITE || io->sense) return;
    uint64_t count = io->length / BLOCK_BYTES;
    if (blocks_clear(a, v, io->lba, count)) blocks_note(a, v, io->lba, count, 0);
}

/* Does what is neither a read nor a write of data.  Returns the physical number of the first page
 * that was written, or PAGE_NONE. */
static __attribute__((noinline)) uint64_t special_write(
    array_t *a, io_t *io, uint32_t v, uint32_t flags, int64_t *done) {
    unit_t *unit = unit_of(a, v);
    volume_t *volume = &a->volume[v];
    cover_t c = cover_of(a, io, v, ZEROS_FREED);
    if (io->op == OP_UNMAP) {
        unit->unmaps++;
        if (!volume->thick) unit->unmapped_pages += unmap_pages(a, io, v, &c);
        return PAGE_NONE;
    }
    if (io->op == OP_COMPARE_AND_WRITE) return compare_and_write(a, io, v, flags, done);
    if (io->op == OP_WRITE_SAME) unit->write_sames++;
    int gives = flags & FLAG_UNMAP;
    c.zeros = volume->thick ? ZEROS_WRITTEN : gives ? ZEROS_FREED : volume->zero_detect;
    return cover_write(a, io, v, &c, gives, done);
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
            if ((notes[n].key & PAGE_NUMBER_MASK) == PAGE_ALL) {
                pages_drop(a, v);
                a->volume[v].stale = UINT64_MAX; /* by an event that is not known any more */
            } else if (row->key != 0) {
                page_unmap(a, v, row);
            }
            continue;
        }
        if (physical & BLOCKS_NOTED) {
            blocks_repeat(a, v, &notes[n]);
            continue;
        }
        if (row->key != 0 && (row->physical & ~PAGE_SHARED) == physical) continue;
        uint64_t next = physical < pool->next_page ? pool->next_page : physical + 1;
        if (row->key == 0) page_map(a, v, row, notes[n].key & PAGE_NUMBER_MASK);
        else page_part(a, v, row);
        row->physical = physical;
        pool->next_page = next;
        if (pool->growth_pages && pool_used(pool) > pool->grown_pages) pool_grow(a, pool);
    }
}

/* The physical number of the first page that a read touches and that has a place, or PAGE_NONE. */
static uint64_t read_page(const array_t *a, const io_t *io, uint32_t v, const pool_t *pool) {
    uint64_t first = page_of(pool, io->lba * BLOCK_BYTES);
    uint64_t last = page_of(pool, io->lba * BLOCK_BYTES + io->length - 1);
    for (uint64_t p = first; p <= last; p++) {
        const page_t *page = volume_page(a, v, p);
        if (page->key != 0) return page->physical & ~PAGE_SHARED;
        if (a->volume[v].first_extent) return page_ready(a, v, p);
    }
    return PAGE_NONE;
}

#endif
