/* dm-multipath's queue-length: the fewest I/Os in flight; ties go to the path unused for longest;
 * the search ends at the first idle path (FACTS 3.1).
 */
#include "selector.h"

static uint32_t queue_length_select(const choice_t *c) {
    const device_t *d = c->device;
    uint32_t best = NIL, fewest = UINT32_MAX;
    for (uint32_t i = 0; i < d->path_count && fewest > 0; i++) {
        uint32_t path = c->order[i].used;
        if (usable(c, path) && c->paths[path].in_flight < fewest) {
            fewest = c->paths[path].in_flight;
            best = i;
        }
    }
    return take_used(c, best);
}

static const selector_t QUEUE_LENGTH = {.select_path = queue_length_select,
                                        .reinstate_path = reinstate_last};
