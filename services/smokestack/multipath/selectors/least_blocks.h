/* Least blocks: the fewest bytes in flight; ties go to the path unused for longest (Windows MSDSM
 * and PowerPath, FACTS 3.3).
 */
#include "selector.h"

static uint32_t least_blocks_select(const choice_t *c) {
    uint32_t best = NIL;
    uint64_t fewest = UINT64_MAX;
    for (uint32_t i = 0; i < c->device->path_count; i++) {
        uint32_t path = c->order[i].used;
        if (usable(c, path) && c->paths[path].in_flight_bytes < fewest) {
            fewest = c->paths[path].in_flight_bytes;
            best = i;
        }
    }
    return take_used(c, best);
}

static const selector_t LEAST_BLOCKS = {.select_path = least_blocks_select};
