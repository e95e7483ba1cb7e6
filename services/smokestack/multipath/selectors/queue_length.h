/* Queue length: the fewest I/Os in flight; ties go to the path unused for longest (FACTS 3.1). */
#include "selector.h"

static uint32_t select_queue_length(const choice_t *c) {
    const device_t *d = c->device;
    uint32_t best = NIL, fewest = UINT32_MAX;
    for (uint32_t i = 0; i < d->path_count && fewest > 0; i++) {
        uint32_t path = c->order[i].used;
        if (usable(c, path) && c->paths[path].in_flight < fewest) {
            fewest = c->paths[path].in_flight;
            best = i;
        }
    }
    if (best == NIL) return NIL;
    uint32_t path = c->order[best].used;
    for (uint32_t i = best; i + 1 < d->path_count; i++) c->order[i].used = c->order[i + 1].used;
    c->order[d->path_count - 1].used = path;
    return path;
}
