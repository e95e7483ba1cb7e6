/* Checks a batch of submissions that came from elsewhere, before a model sees it. */
#ifndef SMOKESTACK_SUBMISSIONS_H
#define SMOKESTACK_SUBMISSIONS_H

#include "smokestack/records.h"

#define SUBMISSION_LBA_MAX ((uint64_t)1 << 54) /* byte addresses stay below 2^63 */

enum {
    SUBMISSIONS_GOOD,
    SUBMISSIONS_OUTSIDE, /* a time that is not within [from, until) */
    SUBMISSIONS_DISORDER, /* not ascending by (time, id, attempt) */
    SUBMISSIONS_NEXUS,
    SUBMISSIONS_OP,
    SUBMISSIONS_FLAGS,
    SUBMISSIONS_LBA,
    SUBMISSIONS_LENGTH, /* a COMPARE AND WRITE of more or less than a block */
    SUBMISSIONS_SOURCE  /* a copy from where nobody can read */
};

static inline int submission_follows(const submission_t *a, const submission_t *b) {
    if (a->time != b->time) return a->time < b->time;
    return a->id != b->id ? a->id < b->id : a->attempt < b->attempt;
}

/* Whether an operation can have these flags. */
static inline int flags_fit(uint8_t op, uint8_t flags) {
    flags &= (uint8_t)~FLAG_SET_GROUPS;
    if (op == OP_COMPARE_AND_WRITE) return flags < 1 << 6;
    if (op == OP_WRITE) return !(flags & ~FLAG_ZEROS);
    return op == OP_WRITE_SAME ? !(flags & ~FLAG_UNMAP) : !flags;
}

/* Whether a copy names where it reads from; an array may be told that there is no such place. */
static inline int source_fits(uint32_t vm, uint64_t nexus_count, int takes_tasks) {
    uint32_t nexus = vm & ~COPY_FROM;
    return !(vm & COPY_FROM) || nexus < nexus_count || (takes_tasks && nexus == COPY_NOWHERE);
}

/* What is wrong with the first record that is wrong, and its index in `at`. */
static inline int submissions_check(const submission_t *in, uint64_t count, int64_t from_ns,
                                    int64_t until_ns, uint64_t nexus_count, int takes_tasks,
                                    uint64_t *at) {
    for (uint64_t n = 0; n < count; n++) {
        const submission_t *s = &in[n];
        *at = n;
        if (s->time < from_ns || s->time >= until_ns) return SUBMISSIONS_OUTSIDE;
        if (n && !submission_follows(s - 1, s)) return SUBMISSIONS_DISORDER;
        if (s->nexus >= nexus_count) return SUBMISSIONS_NEXUS;
        int command = s->op == OP_READ || s->op == OP_WRITE || s->op == OP_UNMAP ||
                      s->op == OP_WRITE_SAME || s->op == OP_COPY ||
                      s->op == OP_COMPARE_AND_WRITE ||
                      s->op == OP_TEST_UNIT_READY;
        int task = s->op == OP_ABORT_TASK || s->op == OP_LUN_RESET || s->op == OP_TARGET_RESET;
        if (!command && !(task && takes_tasks)) return SUBMISSIONS_OP;
        if (!flags_fit(s->op, s->flags)) return SUBMISSIONS_FLAGS;
        if (s->lba > SUBMISSION_LBA_MAX) return SUBMISSIONS_LBA;
        if (s->op == OP_COMPARE_AND_WRITE && s->length != BLOCK_BYTES) return SUBMISSIONS_LENGTH;
        if (s->op == OP_COPY && !source_fits(s->vm, nexus_count, takes_tasks))
            return SUBMISSIONS_SOURCE;
    }
    return SUBMISSIONS_GOOD;
}

#endif
