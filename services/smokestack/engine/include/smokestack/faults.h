/* Faults that hit single I/Os: which rule, if any, hits this one.
 *
 * A row of a subject's table holds the head of a chain through the rules in force on it, 0 when
 * there is none: that one test is all that an I/O pays then.  Python links a rule when it begins
 * and unlinks it when it ends, with the kernel run to that very time, so rules hold no times here.
 * The Python twin is engine/faults.py.
 */
#ifndef SMOKESTACK_FAULTS_H
#define SMOKESTACK_FAULTS_H

#include "smokestack/kernel.h"
#include "smokestack/philox.h"
#include "smokestack/records.h"

#define FAULT_FIELDS(F)                                                                        \
    F(uint64_t, uid)       /* the rule's own part of its draws */                              \
    F(uint64_t, threshold) /* a draw below it is a hit */                                      \
    F(uint64_t, hits)                                                                          \
    F(uint64_t, limit)     /* most hits; 0: as many as there are */                            \
    F(uint64_t, event)     /* number of the event that tells that it began */                  \
    F(int64_t, per_mille)  /* what it makes of a service time */                               \
    F(uint32_t, kind)                                                                          \
    F(uint32_t, always)    /* every I/O is a hit: nothing is drawn */

#define CHAIN_FIELDS(F)                                                                        \
    F(uint32_t, fault)                                                                         \
    F(uint32_t, next) /* 1 more than the row of the next link; 0: none */

DECLARE_STRUCT(fault_t, FAULT_FIELDS)
DECLARE_STRUCT(chain_t, CHAIN_FIELDS)

#define FAULT_ROW(type, field) ROW("fault", fault_t, field)
#define CHAIN_ROW(type, field) ROW("chain", chain_t, field)

/* The first rule of a kind that hits an I/O, or NULL.  The hit is counted. */
static __attribute__((noinline, cold)) fault_t *fault_hit(
    fault_t *faults, const chain_t *chain, uint32_t head, uint32_t kind, uint64_t seed,
    uint64_t id, uint16_t attempt) {
    for (uint32_t at = head; at; at = chain[at - 1].next) {
        fault_t *f = &faults[chain[at - 1].fault];
        if (f->kind != kind || (f->limit && f->hits == f->limit)) continue;
        if (!f->always) {
            uint64_t w[4];
            philox4x64_10(seed, STREAM_FAULT, id, attempt, f->uid, 0, w);
            if (w[0] >= f->threshold) continue;
        }
        f->hits++;
        return f;
    }
    return NULL;
}

/* A service time made longer. */
static inline int64_t fault_stretch(const fault_t *f, int64_t service) {
    return (int64_t)((unsigned __int128)service * (uint64_t)f->per_mille / 1000u);
}

#endif
