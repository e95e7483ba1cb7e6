/* Fixed: the preferred path whenever it is usable (so it fails back), else the first usable one.
 *
 * With the default preference this is the first-available-port behaviour of ESX: FACTS 2.1.
 */
#include "selector.h"

static uint32_t select_fixed(const choice_t *c) {
    const device_t *d = c->device;
    if (d->path_count == 0) return NIL;
    uint32_t preferred = c->order[d->preferred].sorted;
    if (usable(c, preferred)) return preferred;
    for (uint32_t i = 0; i < d->path_count; i++)
        if (usable(c, c->order[i].sorted)) return c->order[i].sorted;
    return NIL;
}
