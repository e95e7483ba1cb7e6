/* What a copy does to the tables: where it reads, the space that it takes, values that come along.
 *
 * It is a command of where it writes.  Where it reads is its own nexus, or another one of its host,
 * of any volume of the array; whoever may read there may copy from there.
 */
#ifndef SMOKESTACK_ARRAY_COPIES_H
#define SMOKESTACK_ARRAY_COPIES_H

#include "hits.h"
#include "space.h"

/* Up to the controller `first_data_ns` is the record's `vm`, and blocks may get values yet. */
static inline void copy_promised(array_state_t *s, const io_t *io) {
    s->copies++;
    s->copy_blocks += io->length / BLOCK_BYTES;
}

/* A copy comes to its controller, or is lost before; returns the nexus that it reads from. */
static __attribute__((noinline, cold)) uint32_t copy_opened(array_t *a, io_t *io) {
    uint32_t vm = (uint32_t)io->first_data_ns;
    a->state->copies--;
    a->state->copy_blocks -= io->length / BLOCK_BYTES;
    io->first_data_ns = 0;
    return vm & COPY_FROM ? vm & ~COPY_FROM : io->itl;
}

/* Most values that so many copies of so many blocks can add: each at most doubles them. */
static uint64_t values_copied_most(uint64_t values, uint64_t copies, uint64_t blocks) {
    if (copies > 16) return blocks;
    uint64_t most = (values << copies) - values;
    return most < blocks ? most : blocks;
}

/* Whether a reservation keeps a command from its volume; TEST UNIT READY always goes through. */
static inline int is_kept_off(const itl_t *itl, uint8_t op) {
    uint32_t from = itl->excluded & (EXCLUDED_WRITES | EXCLUDED_ALL);
    return op == OP_READ ? from == EXCLUDED_ALL : from && op != OP_TEST_UNIT_READY;
}

/* Why what a copy is to be read from does not give it; `io->lba` becomes what made that so. */
static uint32_t source_sense(array_t *a, io_t *io, uint32_t nexus, uint64_t block) {
    if (nexus >= a->state->itl_count) {
        io->lba = 0;
        return SENSE_COPY_UNREACHABLE;
    }
    const itl_t *itl = &a->itl[nexus];
    const volume_t *source = &a->volume[itl->volume];
    if (!itl->valid || !source->valid) {
        io->lba = itl->hidden;
        return SENSE_COPY_UNREACHABLE;
    }
    if (copy_sense(source, block, io->length)) return SENSE_LBA_OUT_OF_RANGE;
    if (is_kept_off(itl, OP_READ)) {
        io->lba = a->unit[source->unit].reserved;
        return ANSWER_CONFLICT;
    }
    if (itl->volume == a->itl[io->itl].volume) return SENSE_NONE; /* it was asked before */
    if (source->offline) {
        io->lba = source->offline;
        return SENSE_COPY_FAILED;
    }
    uint32_t faults = source->faults;
    if (faults) spoil(a, faults, FAULT_COMMAND_FAILED, io, SENSE_COPY_FAILED);
    if (faults && !io->sense) spoil(a, faults, FAULT_NOT_READY, io, SENSE_COPY_FAILED);
    return io->sense;
}

/* Takes the space of a copy to `io->lba`, as a write does; whole pages to which it brings nothing
 * that is mapped get zeros, with which the volume does what it does with zeros.  Where one page has
 * to do with both places all are written.  Returns the physical number of the first page that was
 * written, or PAGE_NONE. */
static uint64_t copy_pages(
    array_t *a, io_t *io, uint32_t v, uint32_t from, uint64_t block, int mapped, int64_t *done) {
    const volume_t *volume = &a->volume[v];
    cover_t c = cover_of(a, io, v, volume->thick ? ZEROS_WRITTEN : volume->zero_detect);
    if (mapped) {
        const pool_t *pool = &a->pool[a->volume[from].pool];
        c.from = from + 1;
        c.page_bytes = a->pool[volume->pool].page_bytes;
        c.shift = (block - io->lba) * BLOCK_BYTES;
        c.end = block * BLOCK_BYTES + io->length;
        uint64_t last = page_of(pool, c.end - 1), first = page_of(pool, c.end - io->length);
        if (from == v && last >= c.first && first <= c.last) c.zeros = ZEROS_WRITTEN;
    }
    return cover_write(a, io, v, &c, 0, done);
}

/* Brings the values of a copy's blocks along, one by one, so that places may overlap. */
static void values_copied(array_t *a, const io_t *io, uint32_t v, uint32_t from, uint64_t block) {
    uint64_t count = io->length / BLOCK_BYTES;
    if (!blocks_any(a, from, block, count)) {
        if (blocks_clear(a, v, io->lba, count)) blocks_note(a, v, io->lba, count, 0);
        return;
    }
    blocks_note(a, v, io->lba, count, 0);
    int down = io->lba > block;
    for (uint64_t n = 0; n < count; n++) {
        uint64_t at = down ? count - 1 - n : n;
        uint64_t value = block_value(a, from, block + at);
        block_put(a, v, io->lba + at, value);
        if (value) blocks_note(a, v, io->lba + at, 1, value);
    }
}

#endif
