/* Most recently used: the path used last while it is usable, else the first usable one, which it
 * then stays on: no failback (VMW_PSP_MRU, FACTS 2.1).
 */
#include "selector.h"

static uint32_t mru_select(const choice_t *c) {
    device_t *d = c->device;
    if (d->current != NIL && usable(c, c->order[d->current].sorted))
        return c->order[d->current].sorted;
    d->current = NIL; /* so that the search begins at the first path */
    d->current = next_usable(c);
    return d->current == NIL ? NIL : c->order[d->current].sorted;
}

static const selector_t MOST_RECENTLY_USED = {.select_path = mru_select};
