/* How many commands a host has in the array and at each of its ports, and when that is enough.
 *
 * A host's initiators count together, over all volumes.  It is answered as by a full port: TASK SET
 * FULL where the nexus has a command in the array, else BUSY (the SAM rule, FACTS 4.1).  While no
 * host has had a limit nothing is counted.
 */
#ifndef SMOKESTACK_ARRAY_QUOTAS_H
#define SMOKESTACK_ARRAY_QUOTAS_H

#include "context.h"

static inline int quota_is_full(quota_t *quota) {
    int full = quota->queue_limit && quota->outstanding >= quota->queue_limit;
    quota->refused += (uint64_t)full;
    return full;
}

/* Whether a nexus' host may have no more; a command that both limits turn away counts at the port
 * alone. */
static inline int quotas_refuse(const array_t *a, uint32_t itl) {
    const quotas_of_t *of = &a->quotas_of[itl];
    return quota_is_full(&a->quota[of->at_port]) || quota_is_full(&a->quota[of->host]);
}

static inline void quotas_take(const array_t *a, uint32_t itl) {
    const quotas_of_t *of = &a->quotas_of[itl];
    a->quota[of->host].outstanding++;
    a->quota[of->at_port].outstanding++;
}

static inline void quotas_give(const array_t *a, uint32_t itl) {
    const quotas_of_t *of = &a->quotas_of[itl];
    a->quota[of->host].outstanding--;
    a->quota[of->at_port].outstanding--;
}

#endif
