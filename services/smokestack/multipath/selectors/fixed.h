/* Fixed: the preferred path whenever it is usable (so it fails back), else the first usable one
 * (VMW_PSP_FIXED, FACTS 2.1).  Unless another is named, the first path is preferred.  A preferred
 * path on the passive side of an active/passive array is used, too: its command pulls the volume
 * over, and hosts that prefer different sides thrash.
 */
#include "selector.h"

static uint32_t fixed_select(const choice_t *c) {
    const device_t *d = c->device;
    if (d->path_count == 0) return NIL;
    uint32_t preferred = c->order[d->preferred].sorted;
    if (usable(c, preferred) || pulls(c, preferred)) return preferred;
    return first_usable(c);
}

static const selector_t FIXED = {.select_path = fixed_select};
