/* dm-multipath's round-robin: the usable path used longest ago, repeat_count I/Os in a row (1 by
 * default: FACTS 3.1).  A path that comes back is last in the list.
 */
#include "selector.h"

static uint32_t dm_round_robin_select(const choice_t *c) {
    policy_t *p = c->policy;
    if (p->repeated && p->repeated < p->repeat_count && usable(c, p->path)) {
        p->repeated++;
        return p->path;
    }
    uint32_t at = 0, count = c->device->path_count;
    while (at < count && !usable(c, c->order[at].used)) at++;
    if (at == count) return NIL;
    p->path = take_used(c, at);
    p->repeated = 1;
    return p->path;
}

static const selector_t DM_ROUND_ROBIN = {.select_path = dm_round_robin_select,
                                          .reinstate_path = reinstate_last};
