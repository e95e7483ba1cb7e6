/* What happens in a host because time has passed: before anything else of that time. */
#ifndef SMOKESTACK_MULTIPATH_TIMERS_H
#define SMOKESTACK_MULTIPATH_TIMERS_H

#include "queues.h"

static __attribute__((noinline, cold)) void apd_times_out(mp_t *m, uint32_t device, int64_t now) {
    device_t *d = &m->device[device];
    d->state = DEVICE_APD_TIMEOUT;
    NOTE(m->state, m->note, .time = now, .kind = NOTE_APD_TIMEOUT, .subject = device,
         .cause = d->cut_off);
    pump(m, device, now);
}

/* Does what is due now, and sets when to look again. */
static __attribute__((noinline, cold)) void run_timers(mp_t *m, int64_t now) {
    int64_t next = NEVER_NS;
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        const device_t *d = &m->device[device];
        if (d->state != DEVICE_APD) continue;
        if (d->apd_ends_ns <= now) apd_times_out(m, device, now);
        else if (d->apd_ends_ns < next) next = d->apd_ends_ns;
    }
    m->state->timer_ns = next;
}

#endif
