/* What an array tells its own vendor's host software with a GOOD answer, in the record's `cause`,
 * which is free then; engine/hints.py has the same bits.  0: it tells nothing.
 */
#ifndef SMOKESTACK_HINTS_H
#define SMOKESTACK_HINTS_H

#include <stdint.h>

#define HINT_GIVEN (1u << 31)
#define HINT_NOT_OWNER (1u << 30) /* the port's controller does not own the logical unit */
#define HINT_COUNT_MAX ((1u << 20) - 1)

/* `count`: commands still at the port. */
static inline uint32_t hint_of(uint32_t count, int owner) {
    return HINT_GIVEN | (owner ? 0 : HINT_NOT_OWNER) |
           (count < HINT_COUNT_MAX ? count : HINT_COUNT_MAX);
}

static inline uint32_t hint_count(uint32_t hint) { return hint & HINT_COUNT_MAX; }

#endif
