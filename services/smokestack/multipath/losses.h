/* Devices without a usable path: all paths down (APD), or the device lost for good (PDL).
 *
 * A device whose last usable path goes is in APD, for up to `apd_timeout_ns`; then it is timed out.
 * One whose paths have all answered that the logical unit is gone (FACTS 2.6) is lost: what it has
 * fails at once.  What happens to commands of a device in APD is `apd_handling`: they fail, or wait
 * until the time-out, or wait until a path returns, as a VM's do on ESX.  A device may have its own
 * rule, as dm-multipath's have (`no_path_retry`: FACTS 3.2).
 */
#ifndef SMOKESTACK_MULTIPATH_LOSSES_H
#define SMOKESTACK_MULTIPATH_LOSSES_H

#include "context.h"

static int reachable(const mp_t *m, const device_t *d) {
    const order_t *order = &m->order[d->order_base];
    for (uint32_t i = 0; i < d->path_count; i++)
        if (m->path[order[i].sorted].state == PATH_ACTIVE) return 1;
    return 0;
}

/* Whether every path has answered that there is no such unit. */
static int all_gone(const mp_t *m, const device_t *d) {
    const order_t *order = &m->order[d->order_base];
    for (uint32_t i = 0; i < d->path_count; i++)
        if (!m->path[order[i].sorted].gone) return 0;
    return d->path_count > 0;
}

/* Whether commands of a device without a usable path wait. */
static int waits(const mp_t *m, const device_t *d) {
    static const uint8_t HANDLING[] = {0, 0, APD_FAIL, APD_UNTIL_TIMEOUT, APD_HOLD};
    uint32_t handling = HANDLING[m->care[d - m->device].no_path_retry];
    if (!handling) handling = m->state->apd_handling;
    if (handling == APD_FAIL || d->path_count == 0) return 0;
    return d->state == DEVICE_APD || (d->state == DEVICE_APD_TIMEOUT && handling == APD_HOLD);
}

static void lose_for_good(mp_t *m, uint32_t device, int64_t now, uint64_t cause) {
    device_t *d = &m->device[device];
    d->state = DEVICE_PDL;
    d->pdl_count++;
    d->cut_off = NOTE(m->state, m->note, .time = now, .kind = NOTE_PDL, .subject = device,
                      .cause = cause);
}

/* How long a device is in APD before it is timed out. */
static int64_t apd_lasts(const mp_t *m, uint32_t device) {
    const care_t *care = &m->care[device];
    if (care->no_path_retry != NO_PATH_COUNT) return m->state->apd_timeout_ns;
    return (int64_t)care->no_path_retries * care->polling_ns;
}

/* The last usable path is gone. */
static void begin_loss(mp_t *m, uint32_t device, int64_t now, uint64_t cause) {
    device_t *d = &m->device[device];
    if (all_gone(m, d)) {
        lose_for_good(m, device, now, cause);
        return;
    }
    d->state = DEVICE_APD;
    d->apd_count++;
    d->apd_ends_ns = now + apd_lasts(m, device);
    if (d->apd_ends_ns < m->state->timer_ns) m->state->timer_ns = d->apd_ends_ns;
    d->cut_off = NOTE(m->state, m->note, .time = now, .kind = NOTE_CUT_OFF, .subject = device,
                      .cause = cause);
}

/* A path is usable again. */
static void end_loss(mp_t *m, uint32_t device, int64_t now, uint64_t cause) {
    device_t *d = &m->device[device];
    d->cut_off = 0;
    d->state = DEVICE_ON;
    NOTE(m->state, m->note, .time = now, .kind = NOTE_RESTORED, .subject = device,
         .cause = cause);
}

#endif
