/* dm-multipath's service-time: the least (bytes in flight + those of the command) / relative
 * throughput; ties go to the path unused for longest (FACTS 3.1).
 *
 * Without a division: s1 / t1 < s2 / t2 exactly when s1 * t2 < s2 * t1, as both t are positive.
 * Paths of one throughput differ by their bytes in flight alone, paths with the same bytes in
 * flight by their throughput alone, as do those whose service times are equal.  Throughput 0 is
 * for paths that are used when nothing else is.
 */
#include "selector.h"

/* Negative: path a is better; positive: b; 0: neither. */
static int64_t service_time_compare(const choice_t *c, uint32_t a, uint32_t b) {
    int64_t size_a = (int64_t)c->paths[a].in_flight_bytes;
    int64_t size_b = (int64_t)c->paths[b].in_flight_bytes;
    int64_t rate_a = c->measures[a].relative_throughput;
    int64_t rate_b = c->measures[b].relative_throughput;
    if (rate_a == rate_b) return size_a - size_b;
    if (size_a == size_b || !rate_a || !rate_b) return rate_b - rate_a;
    int64_t time_a = (size_a + c->length) * rate_b; /* at most 2^41 * 100 */
    int64_t time_b = (size_b + c->length) * rate_a;
    return time_a != time_b ? time_a - time_b : rate_b - rate_a;
}

static uint32_t service_time_select(const choice_t *c) {
    uint32_t best = NIL;
    for (uint32_t i = 0; i < c->device->path_count; i++) {
        if (!usable(c, c->order[i].used)) continue;
        if (best == NIL || service_time_compare(c, c->order[i].used, c->order[best].used) < 0)
            best = i;
    }
    return take_used(c, best);
}

static const selector_t SERVICE_TIME = {.select_path = service_time_select,
                                        .reinstate_path = reinstate_last};
