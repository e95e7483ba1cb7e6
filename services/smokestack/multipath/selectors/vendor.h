/* Vendor: the policy of a plug-in that an array's vendor wrote, which hears what others do not.
 *
 * Every answer may tell how many commands are still at the port, whoever sent them, and whether the
 * port's controller owns the unit (hints.h).  What of that count is not in flight on the path is
 * others'; a moving average of it, of which the newest report is a quarter, is kept in 1/16.
 * Paths to a controller that owns the unit come first; of those the one with the least
 * others + in flight; ties go to the path unused for longest.  A path that is idle and has told
 * nothing for 10 ms is tried by one command first.
 *
 * No vendor has published its rule: this is the model's [P], made of what such plug-ins are said to
 * see (FACTS 3.3).  An array that gives no hints leaves least commands in flight.
 */
#include "selector.h"
#include "smokestack/hints.h"

#define VENDOR_SILENCE_NS 10000000
#define VENDOR_ONE 16

static uint32_t vendor_select(const choice_t *c) {
    uint32_t best = NIL;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < c->device->path_count; i++) {
        uint32_t path = c->order[i].used, in_flight = c->paths[path].in_flight;
        const measure_t *m = &c->measures[path];
        if (!usable(c, path)) continue;
        int silent = c->now_ns - m->last_finish_ns > VENDOR_SILENCE_NS;
        if (!in_flight && silent) return take_used(c, i);
        uint64_t cost = (uint64_t)m->others + VENDOR_ONE * (uint64_t)in_flight;
        cost |= (uint64_t)m->not_owner << 40; /* above any sum */
        if (cost >= least) continue;
        least = cost;
        best = i;
    }
    return take_used(c, best);
}

static void vendor_end(const choice_t *c, uint32_t path, int64_t start_ns, int answered) {
    measure_t *m = &c->measures[path];
    (void)start_ns;
    if (!answered || !c->hint) return;
    uint32_t count = hint_count(c->hint), own = c->paths[path].in_flight;
    uint32_t others = count > own ? count - own : 0;
    m->others = (3 * m->others + VENDOR_ONE * others + 2) / 4;
    m->not_owner = (c->hint & HINT_NOT_OWNER) != 0;
    m->last_finish_ns = c->now_ns;
}

static const selector_t VENDOR = {.select_path = vendor_select, .end_io = vendor_end};
