/* Where policies meet the kernel: who is asked for a path, and who is told what became of it. */
#ifndef SMOKESTACK_MULTIPATH_SELECTION_H
#define SMOKESTACK_MULTIPATH_SELECTION_H

#include "context.h"
#include "selectors/all.h"

static inline choice_t choice_of(const mp_t *m, uint32_t device, int64_t now) {
    device_t *d = &m->device[device];
    return (choice_t){.device = d, .policy = &m->policy[device], .paths = m->path,
                      .measures = m->measure, .order = &m->order[d->order_base], .now_ns = now};
}

/* The path for a command, which counts as sent on it; NIL when none is usable. */
static inline uint32_t choose(const mp_t *m, uint32_t device, const slot_t *s, int64_t now) {
    choice_t choice = choice_of(m, device, now);
    const selector_t *selector = SELECTORS[choice.device->selector];
    choice.length = s->length;
    choice.vm = m->world[s->world].vm;
    uint32_t path = selector->select_path(&choice);
    if (selector->start_io && path != NIL) selector->start_io(&choice, path);
    return path;
}

/* A command has come back, or will not; its path no longer counts it as in flight. */
static inline void ended(
    const mp_t *m, const slot_t *s, int64_t now, int answered, uint32_t hint) {
    const selector_t *selector = SELECTORS[m->device[s->device].selector];
    if (!selector->end_io) return;
    choice_t choice = choice_of(m, s->device, now);
    choice.length = s->length;
    choice.vm = m->world[s->world].vm;
    choice.hint = hint;
    selector->end_io(&choice, s->path, s->dispatch_ns, answered);
}

/* A path was usable and is not, or the other way round: what callers compare is its state. */
static inline void turned(const mp_t *m, uint32_t path, int64_t now) {
    uint32_t device = m->path[path].device;
    const selector_t *selector = SELECTORS[m->device[device].selector];
    choice_t choice = choice_of(m, device, now);
    int active = m->path[path].state == PATH_ACTIVE;
    void (*hook)(const choice_t *, uint32_t) =
        active ? selector->reinstate_path : selector->fail_path;
    if (hook) hook(&choice, path);
}

/* Hands a device to its policy anew: other paths, or another policy.  Nothing is remembered. */
static void hand_over(const mp_t *m, uint32_t device, int64_t now) {
    choice_t choice = choice_of(m, device, now);
    device_t *d = choice.device;
    policy_t *p = choice.policy;
    d->current = NIL;
    d->current_ios = 0;
    p->current_bytes = 0;
    p->sampling_ns = NEVER_NS;
    p->path = NIL;
    p->repeated = 0;
    for (uint32_t i = 0; i < d->path_count; i++) {
        uint32_t path = choice.order[i].used = choice.order[i].sorted;
        measure_t *found = &m->measure[path];
        *found = (measure_t){.cpu_mask = found->cpu_mask, .mapped = found->mapped,
                             .relative_throughput = found->relative_throughput};
        if (SELECTORS[d->selector]->add_path) SELECTORS[d->selector]->add_path(&choice, path);
    }
}

#endif
