/* Round robin: the next usable path, ios_per_path I/Os each (VMware's default 1000: FACTS 2.1). */
#include "selector.h"

static uint32_t select_round_robin(const choice_t *c) {
    device_t *d = c->device;
    if (d->current != NIL && d->current_ios < d->ios_per_path) {
        uint32_t path = c->order[d->current].sorted;
        if (usable(c, path)) {
            d->current_ios++;
            return path;
        }
    }
    uint32_t at = d->current;
    for (uint32_t i = 0; i < d->path_count; i++) {
        at = at == NIL || at + 1 >= d->path_count ? 0 : at + 1;
        if (!usable(c, c->order[at].sorted)) continue;
        d->current = at;
        d->current_ios = 1;
        return c->order[at].sorted;
    }
    return NIL;
}
