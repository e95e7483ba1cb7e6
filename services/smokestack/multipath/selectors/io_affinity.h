/* dm-multipath's io-affinity: the path mapped to the CPU that submits, else any mapped to a CPU of
 * the same NUMA node, else any mapped path, by the CPUs' numbers (FACTS 3.1).
 *
 * A CPU belongs to the first path in boot order whose cpu_mask names it.  VM n runs on CPU
 * n mod cpu_count, and the CPUs' numbers go node by node [P]: the hypervisor has no scheduler.
 */
#include "selector.h"

static uint32_t affinity_path_of(const choice_t *c, uint32_t cpu) {
    for (uint32_t i = 0; i < c->device->path_count; i++) {
        uint32_t path = c->order[i].sorted;
        if (c->measures[path].cpu_mask >> cpu & 1) return path;
    }
    return NIL;
}

/* The path of the first CPU within [from, to) whose path is usable. */
static uint32_t affinity_within(const choice_t *c, uint32_t from, uint32_t to) {
    for (uint32_t cpu = from; cpu < to; cpu++) {
        uint32_t path = affinity_path_of(c, cpu);
        if (path != NIL && usable(c, path)) return path;
    }
    return NIL;
}

static uint32_t io_affinity_select(const choice_t *c) {
    uint32_t cpus = c->policy->cpu_count, nodes = c->policy->numa_node_count;
    uint32_t cpu = c->vm % cpus, node = cpu * nodes / cpus;
    uint32_t path = affinity_path_of(c, cpu);
    if (path != NIL && usable(c, path)) return path;
    /* Node n has the CPUs k with k * nodes / cpus == n. */
    path = affinity_within(c, (node * cpus + nodes - 1) / nodes,
                           ((node + 1) * cpus + nodes - 1) / nodes);
    return path != NIL ? path : affinity_within(c, 0, cpus);
}

static const selector_t IO_AFFINITY = {.select_path = io_affinity_select};
