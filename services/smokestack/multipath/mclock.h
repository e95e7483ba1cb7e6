/* mClock: which world's command a device sends next, by reservation, limit and shares (FACTS 2.5).
 *
 * A command's tags are R = max(arrival, R' + 1/reservation), L = max(arrival, L' + 1/limit) and
 * P = max(v, P' + 1/shares), after those of the command before it.  The least R that has come is
 * served first; else the least P of those whose L has come, and then R' stays as it was.  Ties go
 * to whose command came first.  Nothing may go before its L, so a device may wait for one.
 * v is the P served last: shares count in service, not in time, which is what the paper's
 * adjustment of tags is for.  What was sent before is sent again first, and takes no tags.
 */
#ifndef SMOKESTACK_MULTIPATH_MCLOCK_H
#define SMOKESTACK_MULTIPATH_MCLOCK_H

#include "worlds.h"

#define SHARES_DEFAULT 1000u
#define NS_PER_SECOND 1000000000ll

typedef struct {
    uint32_t world; /* NIL: nothing to undo */
    int64_t reservation_tag;
    int64_t limit_tag;
    uint64_t share_tag;
    uint64_t virtual_time;
} mclock_undo_t;

typedef struct {
    uint32_t slot;
    uint32_t before; /* the slot before it in the queue, or NIL */
    int64_t tag;
} mclock_pick_t;

static inline int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static inline uint64_t mclock_share(const device_t *d, const world_t *w) {
    return d->virtual_time > w->share_tag ? d->virtual_time : w->share_tag;
}

static void mclock_unlink(mp_t *m, device_t *d, const mclock_pick_t *pick) {
    uint32_t next = m->slot[pick->slot].next;
    if (pick->before == NIL) d->queue_head = next;
    else m->slot[pick->before].next = next;
    if (d->queue_tail == pick->slot) d->queue_tail = pick->before;
    d->queued--;
}

/* Gives the chosen command its tags. */
static void mclock_charge(device_t *d, world_t *w, const slot_t *s, const mclock_pick_t *reserved) {
    uint64_t share = mclock_share(d, w);
    if (w->limit_iops)
        w->limit_tag = later(s->submit_ns, w->limit_tag) + NS_PER_SECOND / w->limit_iops;
    if (reserved->slot == NIL) d->virtual_time = share;
    else w->reservation_tag = reserved->tag + NS_PER_SECOND / w->reservation_iops;
    w->share_tag = share + (1ull << 32) / (w->shares ? w->shares : SHARES_DEFAULT);
}

/* Takes the next command out of the queue; NIL: limits hold all of them, until `wake_ns`. */
static uint32_t mclock_take(mp_t *m, device_t *d, int64_t now, mclock_undo_t *undo) {
    mclock_pick_t reserved = {NIL, NIL, NEVER_NS}, shared = {NIL, NIL, 0};
    uint64_t least = UINT64_MAX;
    int64_t wake = NEVER_NS;
    undo->world = NIL;
    if (m->slot[d->queue_head].attempt) {
        shared.slot = d->queue_head;
        mclock_unlink(m, d, &shared);
        return shared.slot;
    }
    d->pass++;
    for (uint32_t i = d->queue_head, before = NIL; i != NIL; before = i, i = m->slot[i].next) {
        const slot_t *s = &m->slot[i];
        world_t *w = &m->world[s->world];
        if (w->pass == d->pass) continue;
        w->pass = d->pass;
        int64_t r = w->reservation_iops ? later(s->submit_ns, w->reservation_tag) : NEVER_NS;
        int64_t l = w->limit_iops ? later(s->submit_ns, w->limit_tag) : now;
        if (r <= now && r < reserved.tag) reserved = (mclock_pick_t){i, before, r};
        if (r > now && r < wake) wake = r;
        if (l > now && l < wake) wake = l;
        if (l <= now && mclock_share(d, w) < least) {
            least = mclock_share(d, w);
            shared = (mclock_pick_t){i, before, 0};
        }
    }
    const mclock_pick_t *pick = reserved.slot != NIL ? &reserved : &shared;
    if (pick->slot == NIL) {
        d->wake_ns = wake;
        if (wake < m->state->timer_ns) m->state->timer_ns = wake;
        return NIL;
    }
    uint32_t world = m->slot[pick->slot].world;
    world_t *w = &m->world[world];
    *undo = (mclock_undo_t){world, w->reservation_tag, w->limit_tag, w->share_tag, d->virtual_time};
    mclock_charge(d, w, &m->slot[pick->slot], &reserved);
    mclock_unlink(m, d, pick);
    return pick->slot;
}

/* A command that was taken waits after all: it keeps no tags. */
static void mclock_undo(mp_t *m, device_t *d, const mclock_undo_t *undo) {
    if (undo->world == NIL) return;
    world_t *w = &m->world[undo->world];
    w->reservation_tag = undo->reservation_tag;
    w->limit_tag = undo->limit_tag;
    w->share_tag = undo->share_tag;
    d->virtual_time = undo->virtual_time;
}

#endif
