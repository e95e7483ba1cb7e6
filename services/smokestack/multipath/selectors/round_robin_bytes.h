/* Round robin by bytes: the next usable path as soon as bytes_per_path or more have been sent on
 * the current one (VMW_PSP_RR with type=bytes; 10,485,760 by default: FACTS 2.1).
 *
 * A command is never split, so that a path may get up to one command more than its share.
 */
#include "selector.h"

static uint32_t round_robin_bytes_select(const choice_t *c) {
    device_t *d = c->device;
    if (d->current != NIL && c->policy->current_bytes < c->policy->bytes_per_path &&
        usable(c, c->order[d->current].sorted))
        return c->order[d->current].sorted;
    uint32_t at = next_usable(c);
    if (at == NIL) return NIL;
    d->current = at;
    c->policy->current_bytes = 0;
    return c->order[at].sorted;
}

static void round_robin_bytes_start(const choice_t *c, uint32_t path) {
    (void)path;
    c->policy->current_bytes += c->length;
}

static const selector_t ROUND_ROBIN_BYTES = {.select_path = round_robin_bytes_select,
                                             .start_io = round_robin_bytes_start};
