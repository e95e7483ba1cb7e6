/* The fabrics between initiators and arrays, on the way back: frames wait for buffer credits.
 *
 * An answer crosses up to three links: the array port's, the inter-switch link, the initiator's.
 * Each sends frame by frame and no faster than its rate; a frame leaves a link only when the next
 * one has a buffer for it.  So a receiver that drains slowly fills its own link's buffers, then
 * holds up the link before, and with it the answers of others that only share that one (slow
 * drain: FACTS 8).  A link commits when an answer's last frame leaves it, when the answer comes:
 * no events.
 *
 * A switch drops what it has held for its hold time (Brocade's edge hold time, the MDS's
 * congestion-drop time-out; F_D_TOV): an answer of which not one frame could be sent so long.  It
 * has crossed the links before, and gives their buffers back then; of the next it takes nothing.
 * That an answer of which a frame was sent is sent whole is ours.  An array's port is no switch: it
 * holds frames without end.
 *
 * A link of rate 0 is never a bottleneck by itself, but it can be held up.  Answers come in the
 * order in which multipath hears them; what a link does late, the submitter hears late.
 */
#ifndef SMOKESTACK_MULTIPATH_FABRIC_H
#define SMOKESTACK_MULTIPATH_FABRIC_H

#include "aborts.h"
#include "answers.h"

#define FRAME_BYTES 2048u /* of data; FC-FS allows 2,112 with an optional header */
#define HOPS_MAX 3

/* Frames that carry an answer: its data, or at least its status. */
static inline uint32_t frames_of(const slot_t *slot, const completion_t *c) {
    if (slot->op != OP_READ || c->status != STATUS_GOOD || slot->length <= FRAME_BYTES) return 1;
    return (uint32_t)(((uint64_t)slot->length + FRAME_BYTES - 1) / FRAME_BYTES);
}

static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* A link has no credit from a time to another; what is known already counts once. */
static inline void starved(link_t *link, int64_t from, int64_t until) {
    int64_t begins = most(from, link->starved_ns);
    if (until <= begins) return;
    if (begins > link->starved_ns) link->credit_zero++;
    link->credit_zero_ns += (uint64_t)(until - begins);
    link->starved_ns = until;
}

/* A switch drops an answer that was to go by a link, held since `first`: until when it holds up the
 * link before. */
static __attribute__((noinline, cold)) int64_t discarded(
    link_t *link, uint32_t frames, int64_t first, int64_t last) {
    int64_t through = most(most(first, link->free_ns) + (int64_t)frames * link->frame_ns,
                           last + link->frame_ns);
    int64_t room = through - (int64_t)link->credits * link->frame_ns;
    link->class3_discards += frames;
    return room < first + link->hold_ns ? room : first + link->hold_ns;
}

/* When an answer that comes at `now` is through, or NEVER_NS: a switch has dropped it.  Its links
 * are busy until then. */
static int64_t fabric_cross(mp_t *m, const path_t *path, uint32_t frames, int64_t now) {
    const uint32_t rows[HOPS_MAX] = {path->target_link, path->trunk_link, path->host_link};
    link_t *hop[HOPS_MAX];
    int64_t through[HOPS_MAX], first = now, last = now;
    uint32_t hops = 0;
    int dropped = 0;
    for (uint32_t h = 0; h < HOPS_MAX; h++) {
        if (rows[h] == NIL) continue;
        link_t *link = &m->link[rows[h]];
        int64_t start = most(first, link->free_ns);
        if (link->hold_ns && start - first > link->hold_ns && hops) {
            int64_t until = discarded(link, frames, first, last);
            starved(hop[hops - 1], through[hops - 1], until);
            through[hops - 1] = most(through[hops - 1], until);
            dropped = 1;
            break;
        }
        last = most(start + (int64_t)frames * link->frame_ns, last + link->frame_ns);
        starved(link, first, last - (int64_t)link->credits * link->frame_ns);
        first = start + link->frame_ns;
        hop[hops] = link;
        through[hops++] = last;
    }
    for (uint32_t h = hops; h-- > 0;) {
        if (h + 1 < hops) { /* the last frame stays until there is a buffer for it */
            const link_t *after = hop[h + 1];
            int64_t room = through[h + 1] - (int64_t)after->credits * after->frame_ns;
            starved(hop[h], through[h], room);
            through[h] = most(through[h], room);
        }
        hop[h]->free_ns = through[h];
        hop[h]->frames += frames;
        hop[h]->busy_ns += (uint64_t)((int64_t)frames * hop[h]->frame_ns);
    }
    if (dropped) return NEVER_NS;
    return hops ? through[hops - 1] : now;
}

/* Lets rules damage a frame of an answer on a link that it crosses: its command is sent again. */
static void damage(mp_t *m, const path_t *path, completion_t *c) {
    const uint32_t rows[HOPS_MAX] = {path->target_link, path->trunk_link, path->host_link};
    for (uint32_t h = 0; h < HOPS_MAX; h++) {
        if (rows[h] == NIL || !m->link[rows[h]].faults) continue;
        const fault_t *f = fault_hit(m->fault, m->chain, m->link[rows[h]].faults,
                                     FAULT_FRAME_DAMAGED, m->state->seed, c->id, c->attempt);
        if (!f) continue;
        m->link[rows[h]].crc_errors++;
        c->kind = KIND_HOST;
        c->status = HOST_PARITY;
        c->sense = 0;
        c->cause = note_cause(f->event);
        return;
    }
}

/* Sends the answer to a check across: a frame, without data.  What is dropped is not answered. */
static int check_cross(mp_t *m, completion_t *c) {
    const path_t *path = &m->path[check_path(c->id)];
    int64_t time = fabric_cross(m, path, 1, c->time);
    if (time == NEVER_NS) return 0;
    damage(m, path, c);
    if (c->kind == KIND_HOST) c->status = CHECK_DAMAGED;
    c->kind = KIND_CHECK;
    c->time = time;
    return 1;
}

/* The same of the answer to an abort or a reset. */
static int task_cross(mp_t *m, completion_t *c) {
    completion_t came = *c;
    came.time = fabric_cross(m, &m->path[task_path(m, c)], 1, c->time);
    task_carried(m, &came); /* never is too late, too */
    c->time = came.time;
    return c->time != NEVER_NS;
}

/* Leaves what waits for an answer as it is: nobody hears of that one. */
static int unheard(mp_t *m, const completion_t *c) {
    if (c->kind == KIND_CHECK) return 0;
    slot_t *slot = &m->slot[c->id >> SLOT_SHIFT];
    if (c->kind == KIND_TASK) {
        slot->phase = PHASE_ABORTING;
    } else {
        slot->phase = PHASE_IN_FLIGHT;
        slot->time = NEVER_NS;
    }
    return 0;
}

/* Sends the answer to a command across: dropped, it is one that is still waited for. */
static int command_cross(mp_t *m, completion_t *c) {
    slot_t *slot = &m->slot[c->id >> SLOT_SHIFT];
    const path_t *path = &m->path[slot->path];
    int64_t time = fabric_cross(m, path, frames_of(slot, c), c->time);
    if (time == NEVER_NS) return unheard(m, c);
    damage(m, path, c);
    c->time = time;
    slot->time = retried(c) ? NEVER_NS : time;
    if (m->state->timeouts && time >= deadline_of(m, slot))
        slot->phase = PHASE_IN_FLIGHT; /* it times out first */
    return 1;
}

static int crosses(mp_t *m, completion_t *c) {
    if (c->kind == KIND_EVENT) return 1;
    if (m->state->recovering && overtaken(m, c)) return unheard(m, c);
    if (c->kind == KIND_CHECK) return check_cross(m, c);
    return c->kind == KIND_TASK ? task_cross(m, c) : command_cross(m, c);
}

/* Whether an answer counts when it is through: nothing took its path down meanwhile. */
static inline int landed(const mp_t *m, const completion_t *c) {
    if (c->kind == KIND_EVENT) return 1;
    if (c->kind == KIND_CHECK) return check_awaited(m, c);
    uint32_t p = c->kind == KIND_TASK ? task_path(m, c) : m->slot[c->id >> SLOT_SHIFT].path;
    int64_t down_ns = m->path[p].down_ns;
    if (down_ns && c->time >= down_ns) return 0;
    if (c->kind == KIND_TASK) return task_landed(m, c);
    const slot_t *slot = &m->slot[c->id >> SLOT_SHIFT];
    if (slot->id != c->id || slot->attempt != c->attempt || slot->phase != PHASE_ANSWERED) return 0;
    return !m->state->recovering || !outrun(m, slot->device, c);
}

/* Of what is through before `end`, forgets what came too late: those commands are sent again. */
static void drop_strays(mp_t *m, int64_t end) {
    uint32_t kept = m->state->hand_told, n = kept;
    for (; n < m->state->hand_count && m->hand[n].time < end; n++)
        if (landed(m, &m->hand[n])) m->hand[kept++] = m->hand[n];
    if (kept == n) return;
    for (; n < m->state->hand_count; n++) m->hand[kept++] = m->hand[n];
    m->state->hand_count = kept;
}

/* Whether a record in hand still counts when an array is gone: those that were told have. */
static inline int holds_slot(const mp_t *m, uint32_t n) {
    const completion_t *c = &m->hand[n];
    if (c->kind >= KIND_EVENT && (c->kind != KIND_TASK || c->attempt == RESET_ATTEMPT)) return 0;
    const slot_t *s = &m->slot[c->id >> SLOT_SHIFT];
    if (n >= m->state->hand_told) return landed(m, c);
    if (c->kind == KIND_TASK) return ends_abort(s, c);
    return s->id == c->id && s->attempt == c->attempt && s->phase == PHASE_ANSWERED;
}

/* An array is about to be given up: of what it has answered that counts which is known to get
 * through.  Whatever else waits for it is as good as unanswered. */
static void forget_strays(mp_t *m, uint32_t array) {
    for (uint32_t n = 0; n < m->state->hand_count; n++)
        if (holds_slot(m, n)) m->slot[m->hand[n].id >> SLOT_SHIFT].phase |= PHASE_MARK;
    for (uint32_t i = 0; i < m->slot_rows; i++) {
        slot_t *s = &m->slot[i];
        if (s->phase & PHASE_MARK) {
            s->phase &= (uint8_t)~PHASE_MARK;
        } else if (s->phase == PHASE_ANSWERED || s->phase == PHASE_ABORTED) {
            if (m->path[s->path].array != array) continue;
            s->phase = s->phase == PHASE_ANSWERED ? PHASE_IN_FLIGHT : PHASE_ABORTING;
        }
    }
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        recovery_t *r = &m->recovery[device];
        if (r->function && m->path[r->path].array == array && reset_lands(m, device) == NEVER_NS)
            r->answer_ns = 0;
    }
}

/* Sends the answers of this window across, and puts what is on its way in order of arrival. */
static void fabric_carry(mp_t *m, int64_t end) {
    mp_state_t *s = m->state;
    uint32_t kept = s->hand_fresh;
    for (uint32_t n = kept; n < s->hand_count; n++)
        if (crosses(m, &m->hand[n])) m->hand[kept++] = m->hand[n];
    s->hand_count = kept;
    for (uint32_t n = s->hand_told + 1; n < s->hand_count; n++) { /* nearly in order already */
        completion_t record = m->hand[n];
        uint32_t at = n;
        for (; at > s->hand_told && before(&record, &m->hand[at - 1]); at--)
            m->hand[at] = m->hand[at - 1];
        m->hand[at] = record;
    }
    drop_strays(m, end);
}

#endif
