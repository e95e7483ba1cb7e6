/* Unit attentions of the array: established for nexuses, told to each one's next command.
 *
 * A nexus holds a bit for each code, so a second cause of what it has not told yet takes the first
 * one's place (SAM-5 5.14).  The command that is told of one has no effect.
 */
#ifndef SMOKESTACK_ARRAY_ATTENTIONS_H
#define SMOKESTACK_ARRAY_ATTENTIONS_H

#include "context.h"
#include "smokestack/attentions.h"

_Static_assert(ATTENTION_COUNT <= ATTENTION_ROWS - 4, "and rows for NOT READY and conflicts");

static inline attention_t *attention_row(array_t *a, uint32_t itl, uint32_t code) {
    return &a->attention[(size_t)itl * ATTENTION_ROWS + code];
}

/* Makes the nexus tell of this before anything else; `cause` is the number of an event. */
static inline void attention_establish(
    array_t *a, uint32_t itl, uint32_t code, uint64_t cause) {
    uint16_t *pending = &a->itl[itl].attentions;
    *pending = (uint16_t)(1u << code | (code == ATTENTION_POWER_ON ? 0u : *pending));
    attention_row(a, itl, code)->cause = cause;
}

/* The same for every valid nexus of a volume, of a port, of a pool's volumes; NIL: of any. */
static __attribute__((unused, cold)) void attention_establish_all(
    array_t *a, uint32_t volume, uint32_t port, uint32_t pool, uint32_t code, uint64_t cause) {
    for (uint32_t itl = 0; itl < a->state->itl_count; itl++) {
        const itl_t *row = &a->itl[itl];
        if (!row->valid || (volume != NIL && row->volume != volume) ||
            (port != NIL && row->port != port) ||
            (pool != NIL && a->volume[row->volume].pool != pool))
            continue;
        attention_establish(a, itl, code, cause);
    }
}

/* Ends a command with the first attention that its nexus has to tell, which is told by that. */
static __attribute__((noinline, cold)) void attention_tell(array_t *a, io_t *io) {
    itl_t *itl = &a->itl[io->itl];
    uint32_t code = (uint32_t)__builtin_ctz(itl->attentions);
    itl->attentions &= (uint16_t)(itl->attentions - 1);
    io->sense = ATTENTION_SENSE[code];
    io->lba = attention_row(a, io->itl, code)->cause;
}

/* Counts an answer with RESERVATION CONFLICT, in the row before those of NOT READY. */
static inline void conflict_count(array_t *a, uint32_t itl) {
    attention_row(a, itl, ATTENTION_ROWS - 4)->told++;
}

/* The row that counts answers with a unit attention, or with NOT READY, 2/04/0A and on. */
static inline void attention_count(array_t *a, const io_t *io) {
    uint32_t code = sense_key(io->sense) == SENSE_KEY_UNIT_ATTENTION
                        ? attention_of(io->sense)
                        : ATTENTION_ROWS - 3 + io->sense - SENSE_TRANSITION;
    attention_row(a, io->itl, code)->told++;
}

#endif
