/* Asymmetric access: through which ports a volume is served well, badly, or not at all (ALUA).
 *
 * The ports of one controller are a target port group, and a controller owns each volume: through
 * its group the volume is active/optimized.  While a volume changes its owner, which takes
 * `transition_ns`, every command meets 2/04/0A.  Through other groups it is non-optimized and
 * takes longer, or on standby (2/04/0B), or unavailable (2/04/0C); or, on an active/passive array,
 * the first command pulls the volume over: a trespass (FACTS 2.1, 3.2, 4.7; times are configured).
 * With `explicit_access` a command does so, too, through any other group, if its host says that SET
 * TARGET PORT GROUPS goes before it.
 *
 * An answer that tells of a change carries what REPORT TARGET PORT GROUPS would say: a nibble for
 * each of the first 16 controllers in `first_data_ns`, which such an answer has no use for.
 */
#ifndef SMOKESTACK_ARRAY_ACCESS_H
#define SMOKESTACK_ARRAY_ACCESS_H

#include "attentions.h"

/* As specs.Access, and as engine/records.py's AccessState. */
enum { ACCESS_SYMMETRIC, ACCESS_ALUA, ACCESS_STANDBY, ACCESS_UNAVAILABLE, ACCESS_PASSIVE };
enum { STATE_OPTIMIZED = 1, STATE_NON_OPTIMIZED = 2, STATE_STANDBY = 3, STATE_UNAVAILABLE = 4,
       STATE_TRANSITIONING = 5, STATE_PASSIVE = 6 };

/* How a volume is served through a controller. */
static inline uint32_t access_state(
    const array_t *a, const volume_t *v, uint32_t controller, int64_t now) {
    if (now < v->moving_until_ns) return STATE_TRANSITIONING;
    if (!v->owner || v->owner == controller + 1) return STATE_OPTIMIZED;
    if (a->state->access == ACCESS_ALUA) return STATE_NON_OPTIMIZED;
    if (a->state->access == ACCESS_PASSIVE) return STATE_PASSIVE;
    return a->state->access == ACCESS_UNAVAILABLE ? STATE_UNAVAILABLE : STATE_STANDBY;
}

/* What the target port groups are for a volume, a nibble each. */
static uint64_t access_report(const array_t *a, const itl_t *itl, int64_t now) {
    const volume_t *v = &a->volume[itl->volume];
    uint64_t report = 0;
    for (uint32_t p = 0; p < a->state->port_count; p++) {
        uint32_t home = a->port[p].home, shift = 4 * home;
        if (home >= 16) continue;
        report &= ~(UINT64_C(15) << shift);
        report |= (uint64_t)access_state(a, v, a->port[p].controller, now) << shift;
    }
    return report;
}

static inline int tells_of_access(uint32_t sense) {
    return (sense >= SENSE_TRANSITION && sense <= SENSE_UNAVAILABLE) ||
           sense == SENSE_ACCESS_CHANGED || sense == SENSE_TRANSITION_FAILED;
}

/* Whether a command moves its volume to the controller that it has come to. */
static inline int moves(const array_t *a, uint32_t state, uint32_t flags) {
    if (state == STATE_PASSIVE) return 1;
    return a->state->explicit_access && flags & FLAG_SET_GROUPS;
}

/* It pulls its volume over; every nexus is to hear of it. */
static void trespass(array_t *a, io_t *io, volume_t *v, uint32_t controller) {
    array_state_t *s = a->state;
    const itl_t *itl = &a->itl[io->itl];
    v->owner = controller + 1;
    v->moving_until_ns = io->time + s->transition_ns;
    uint64_t number = NOTE(s, a->note, .time = io->time, .kind = NOTE_TRESPASS,
                           .subject = itl->volume, .detail = controller, .more = io->itl);
    v->moved = note_cause(number);
    attention_establish_all(a, itl->volume, NIL, NIL, ATTENTION_ACCESS_CHANGED, number);
}

/* Where a command may not go, or what it takes longer. */
static __attribute__((noinline, cold)) int64_t access_check(
    array_t *a, io_t *io, uint32_t flags) {
    const itl_t *itl = &a->itl[io->itl];
    volume_t *v = &a->volume[itl->volume];
    uint32_t controller = a->port[itl->port].controller;
    uint32_t state = access_state(a, v, controller, io->time);
    if (state == STATE_OPTIMIZED) return 0;
    if (state != STATE_TRANSITIONING) {
        if (itl->attentions) return 0; /* that is told first, without effect */
        if (state == STATE_NON_OPTIMIZED && io->op == OP_TEST_UNIT_READY) return 0;
        if (state == STATE_NON_OPTIMIZED && !moves(a, state, flags))
            return a->state->non_optimized_ns;
        if (io->op == OP_TEST_UNIT_READY) { /* who only asks pulls nothing over */
            if (state == STATE_PASSIVE) state = STATE_STANDBY;
        } else if (moves(a, state, flags)) {
            trespass(a, io, v, controller);
            state = STATE_TRANSITIONING;
        }
    }
    io->sense = state == STATE_TRANSITIONING ? SENSE_TRANSITION
                : state == STATE_STANDBY     ? SENSE_STANDBY
                                             : SENSE_UNAVAILABLE;
    io->lba = v->moved;
    return 0;
}

#endif
