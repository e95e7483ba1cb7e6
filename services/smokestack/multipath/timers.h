/* What happens in a host because time has passed: before anything else of that time. */
#ifndef SMOKESTACK_MULTIPATH_TIMERS_H
#define SMOKESTACK_MULTIPATH_TIMERS_H

#include "aborts.h"
#include "transport.h"

static __attribute__((noinline, cold)) void apd_times_out(mp_t *m, uint32_t device, int64_t now) {
    device_t *d = &m->device[device];
    d->state = DEVICE_APD_TIMEOUT;
    NOTE(m->state, m->note, .time = now, .kind = NOTE_APD_TIMEOUT, .subject = device,
         .cause = d->cut_off);
    pump(m, device, now);
}

/* Does what is due now, and sets when to look again.  What is sent meanwhile sets that, too. */
static __attribute__((noinline, cold)) void run_timers(mp_t *m, int64_t now) {
    m->state->timer_ns = NEVER_NS;
    if (m->state->recovering) run_recovery(m, now);
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        device_t *d = &m->device[device];
        if (d->wake_ns && d->wake_ns <= now) {
            d->wake_ns = 0;
            pump(m, device, now);
        }
        if (d->wake_ns) next_timer(m, d->wake_ns);
        failback_t *f = &m->failback[device];
        if (f->due_ns && f->due_ns <= now) {
            f->due_ns = 0;
            f->on = 1;
            regroup(m, device, now);
        }
        if (f->due_ns) next_timer(m, f->due_ns);
        if (d->state != DEVICE_APD) continue;
        if (d->apd_ends_ns <= now) apd_times_out(m, device, now);
        else next_timer(m, d->apd_ends_ns);
    }
    for (uint32_t i = 0; m->state->timeouts && i < m->slot_rows; i++)
        command_due(m, i, now);
    if (!m->state->caring) return;
    transport_due(m, now);
    checks_due(m, now);
}

#endif
