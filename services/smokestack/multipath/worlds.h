/* Worlds: which VMs compete for a device, and what that leaves each of them.
 *
 * A world is active while it has a command queued, sent or waiting to retry.  One active world may
 * use the device's whole depth (DQLEN); two or more share the lesser of DQLEN and DSNRO
 * (Disk.SchedNumReqOutstanding: FACTS 2.2).  What "active" means exactly is ours, as is that a
 * device which has more out when a second world comes just sends nothing until it has not.
 */
#ifndef SMOKESTACK_MULTIPATH_WORLDS_H
#define SMOKESTACK_MULTIPATH_WORLDS_H

#include "context.h"

/* Works out anew how many commands the device may have out; whatever it depends on has changed. */
static inline void fit_limit(device_t *d) {
    d->limit = d->depth;
    if (d->window && d->window < d->limit) d->limit = d->window;
    if (d->worlds_active >= 2 && d->dsnro < d->limit) d->limit = d->dsnro;
    if (d->recovering) d->limit = 0;
}

/* Whether a slot's last command was another world's than this one is: a world may be new. */
static inline int world_differs(const mp_t *m, const slot_t *s, const submission_t *in) {
    const world_t *w = &m->world[s->world];
    return w->device != in->nexus || w->vm != in->vm;
}

static uint32_t world_find(mp_t *m, const submission_t *in) {
    device_t *d = &m->device[in->nexus];
    for (uint32_t w = d->world_head; w != NIL; w = m->world[w].next)
        if (m->world[w].vm == in->vm) return w;
    uint32_t w = m->state->world_count++; /* there is room: worlds_fit */
    m->world[w] = (world_t){.device = in->nexus, .vm = in->vm, .next = d->world_head};
    d->world_head = w;
    return w;
}

/* The world of a submission; a slot's owner hardly ever changes. */
static inline uint32_t world_of(mp_t *m, const slot_t *s, const submission_t *in) {
    return world_differs(m, s, in) ? world_find(m, in) : s->world;
}

static inline void world_enter(mp_t *m, device_t *d, uint32_t w) {
    if (m->world[w].outstanding++ == 0 && ++d->worlds_active == 2) fit_limit(d);
}

static inline void world_leave(mp_t *m, device_t *d, uint32_t w) {
    if (--m->world[w].outstanding == 0 && --d->worlds_active == 1) fit_limit(d);
}

#endif
