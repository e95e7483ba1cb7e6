/* Marginal paths: those that fail and come back too often, as multipathd's san_path_err_threshold,
 * _forget_rate and _recovery_time have them.
 *
 * Each time that a check finds a path good that had failed counts; so many good checks of a path
 * make up for one.  One that has failed more often than the threshold is set aside: it stays out of
 * use until no check has found it bad for the recovery time, or until no other path can be used.
 */
#ifndef SMOKESTACK_MULTIPATH_MARGINAL_H
#define SMOKESTACK_MULTIPATH_MARGINAL_H

#include "paths.h"

/* Whether a path that a check has found good again is put back into use. */
static int reinstates(mp_t *m, uint32_t p, int64_t now) {
    const uint32_t device = m->path[p].device;
    const care_t *care = &m->care[device];
    health_t *h = &m->health[p];
    if (!care->error_threshold) return 1;
    if (h->marginal) {
        if (reachable(m, &m->device[device]) && now < h->recovers_ns) return 0;
        h->marginal = h->failures = h->forget = 0;
        return 1;
    }
    if (!h->failures) h->forget = care->error_forget;
    if (++h->failures <= care->error_threshold) return 1;
    h->marginal = 1;
    h->recovers_ns = now + care->error_recovery_ns;
    NOTE(m->state, m->note, .time = now, .kind = NOTE_MARGINAL, .subject = p,
         .detail = h->failures);
    return 0;
}

/* A good check of a path in use. */
static void forgive(mp_t *m, uint32_t p) {
    health_t *h = &m->health[p];
    if (!h->failures || h->marginal) return;
    if (h->forget) {
        h->forget--;
        return;
    }
    h->failures--;
    h->forget = m->care[m->path[p].device].error_forget;
}

#endif
