/* Round robin by I/Os: the next usable path, ios_per_path I/Os each (VMW_PSP_RR; 1000 by default:
 * FACTS 2.1).
 */
#include "selector.h"

static uint32_t round_robin_select(const choice_t *c) {
    device_t *d = c->device;
    if (d->current != NIL && d->current_ios < d->ios_per_path) {
        uint32_t path = c->order[d->current].sorted;
        if (usable(c, path)) {
            d->current_ios++;
            return path;
        }
    }
    uint32_t at = next_usable(c);
    if (at == NIL) return NIL;
    d->current = at;
    d->current_ios = 1;
    return c->order[at].sorted;
}

static const selector_t ROUND_ROBIN = {.select_path = round_robin_select};
