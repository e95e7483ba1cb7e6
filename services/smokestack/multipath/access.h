/* Paths by target port group: only those of the best group that is left are in use.
 *
 * Active/optimized comes first, then non-optimized (useANO=0; the preferred group before others),
 * then what is in transition, standby or unavailable.  A path of a lesser group is STANDBY: it
 * lives and carries nothing.  States are learnt at a rescan, and from answers that tell of a
 * change, with which an array sends what REPORT TARGET PORT GROUPS would say (FACTS 2.1, 3.2).
 */
#ifndef SMOKESTACK_MULTIPATH_ACCESS_H
#define SMOKESTACK_MULTIPATH_ACCESS_H

#include "selection.h"

/* By engine/records.py's AccessState; the least is used. */
static inline uint32_t access_rank(const mp_t *m, const path_t *path) {
    static const uint8_t RANK[] = {0, 1, 3, 5, 7, 4, 6};
    if (path->preferred && m->failback[path->device].on) return 0;
    uint32_t rank = path->access < sizeof RANK ? RANK[path->access] : 7;
    return rank == 3 && path->preferred ? 2 : rank;
}

static inline int is_alive(uint32_t state) {
    return state == PATH_ACTIVE || state == PATH_STANDBY;
}

/* What a host knows of the group that its volume should be served by. */
enum { BACK_GONE, BACK_HOME, BACK_MOVING, BACK_AWAY };

static uint32_t back_seen(const mp_t *m, const device_t *d) {
    const order_t *order = &m->order[d->order_base];
    uint32_t seen = BACK_GONE;
    for (uint32_t i = 0; i < d->path_count; i++) {
        const path_t *path = &m->path[order[i].sorted];
        if (!path->preferred || !is_alive(path->want)) continue;
        uint32_t one = path->access == ACCESS_STATE_OPTIMIZED       ? BACK_HOME
                       : path->access == ACCESS_STATE_TRANSITIONING ? BACK_MOVING
                                                                    : BACK_AWAY;
        if (one > seen) seen = one;
    }
    return seen;
}

/* Decides whether the preferred group is to be used before others although it does not serve the
 * volume well, so that the first command there has it moved: dm-multipath's failback.  It acts on
 * what changes alone. */
static void judge_failback(const mp_t *m, uint32_t device, int64_t now) {
    failback_t *f = &m->failback[device];
    uint32_t was = f->seen;
    f->seen = back_seen(m, &m->device[device]);
    if (f->seen == was) return;
    if (was == BACK_GONE) f->owed = 1;
    if (f->seen <= BACK_HOME) {
        f->on = f->owed = 0;
        f->due_ns = 0;
    }
    if (f->seen != BACK_AWAY || f->policy == FAILBACK_MANUAL || f->on || f->due_ns) return;
    if (f->policy == FAILBACK_FOLLOWOVER && !f->owed) return;
    if (f->policy != FAILBACK_DELAYED) {
        f->on = 1;
        return;
    }
    f->due_ns = now + f->delay_ns;
    if (f->due_ns < m->state->timer_ns) m->state->timer_ns = f->due_ns;
}

/* Brings a device's paths into the states that they are wanted in, those of the best group in use;
 * its policy hears of all at once, in order. */
static void regroup(const mp_t *m, uint32_t device, int64_t now) {
    const device_t *d = &m->device[device];
    const order_t *order = &m->order[d->order_base];
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < d->path_count; i++) {
        path_t *path = &m->path[order[i].sorted];
        if (!path->want) path->want = path->state;
    }
    judge_failback(m, device, now);
    for (uint32_t i = 0; i < d->path_count; i++) {
        const path_t *path = &m->path[order[i].sorted];
        if (is_alive(path->want) && access_rank(m, path) < best) best = access_rank(m, path);
    }
    for (uint32_t i = 0; i < d->path_count; i++) {
        path_t *path = &m->path[order[i].sorted];
        if (is_alive(path->want))
            path->want = access_rank(m, path) == best ? PATH_ACTIVE : PATH_STANDBY;
        path->turning = (path->state == PATH_ACTIVE) != (path->want == PATH_ACTIVE);
        path->state = path->want;
        path->want = 0;
    }
    for (uint32_t i = 0; i < d->path_count; i++) {
        path_t *path = &m->path[order[i].sorted];
        if (path->turning) turned(m, order[i].sorted, now);
        path->turning = 0;
    }
}

static void set_path_state(const mp_t *m, uint32_t path, uint32_t state, int64_t now) {
    path_t *p = &m->path[path];
    if (p->access) {
        p->want = state;
        regroup(m, p->device, now);
        return;
    }
    int was = p->state == PATH_ACTIVE;
    p->state = state;
    if (was != (state == PATH_ACTIVE)) turned(m, path, now);
}

/* Whether an answer carries the states of target port groups. */
static inline int tells_of_access(const completion_t *c) {
    return (c->sense >= SENSE_TRANSITION && c->sense <= SENSE_UNAVAILABLE) ||
           c->sense == SENSE_ACCESS_CHANGED || c->sense == SENSE_TRANSITION_FAILED;
}

/* Takes in what an answer says of the device's target port groups; a change is told. */
static void access_learn(mp_t *m, const completion_t *c, uint32_t device) {
    const device_t *d = &m->device[device];
    const order_t *order = &m->order[d->order_base];
    uint32_t changed = 0;
    for (uint32_t i = 0; i < d->path_count; i++) {
        path_t *path = &m->path[order[i].sorted];
        uint32_t state = path->group < 16 ? c->first_data_ns >> (4 * path->group) & 15 : 0;
        if (!state || state == path->access) continue;
        path->access = state;
        changed++;
    }
    if (!changed) return;
    regroup(m, device, c->time);
    NOTE(m->state, m->note, .time = c->time, .kind = NOTE_ACCESS, .subject = device,
         .detail = changed, .cause = c->cause);
}

#endif
