/* What happens in a host because time has passed: before anything else of that time. */
#ifndef SMOKESTACK_MULTIPATH_TIMERS_H
#define SMOKESTACK_MULTIPATH_TIMERS_H

#include "checkers.h"

static __attribute__((noinline, cold)) void apd_times_out(mp_t *m, uint32_t device, int64_t now) {
    device_t *d = &m->device[device];
    d->state = DEVICE_APD_TIMEOUT;
    NOTE(m->state, m->note, .time = now, .kind = NOTE_APD_TIMEOUT, .subject = device,
         .cause = d->cut_off);
    pump(m, device, now);
}

/* Takes a command back that has not been answered in time; what answers it still comes too late.
 * The array is not told: it serves what it has committed to (rule 5). */
static __attribute__((noinline, cold)) void command_times_out(mp_t *m, uint32_t i, int64_t now) {
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[s->path];
    device_t *d = &m->device[s->device];
    adapter_t *a = &m->adapter[path->adapter];
    d->timed_out++;
    if (d->timed_out_ns != now) {
        d->timed_out_ns = now;
        NOTE(m->state, m->note, .time = now, .kind = NOTE_TIMED_OUT, .subject = s->device);
    }
    take_back(m, i, path, d, now);
    io_failed(m, s->path, HOST_TIME_OUT, now);
    d->retries++;
    queue_rejoin(m, d, i, now);
    if (a->queued) adapter_serve(m, a, now);
    pump(m, s->device, now);
}

/* Takes back the commands that have timed out, in order of id. */
static void commands_due(mp_t *m, int64_t now) {
    for (uint32_t i = 0; i < m->slot_rows; i++) {
        const slot_t *s = &m->slot[i];
        if (s->phase != PHASE_IN_FLIGHT && s->phase != PHASE_ANSWERED) continue;
        int64_t deadline = deadline_of(m, s);
        if (deadline > now) next_timer(m, deadline); /* an answer may yet turn out to be none */
        else if (s->phase == PHASE_IN_FLIGHT) command_times_out(m, i, now);
    }
}

/* Does what is due now, and sets when to look again.  What is sent meanwhile sets that, too. */
static __attribute__((noinline, cold)) void run_timers(mp_t *m, int64_t now) {
    m->state->timer_ns = NEVER_NS;
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        device_t *d = &m->device[device];
        if (d->wake_ns && d->wake_ns <= now) {
            d->wake_ns = 0;
            pump(m, device, now);
        }
        if (d->wake_ns) next_timer(m, d->wake_ns);
        if (d->state != DEVICE_APD) continue;
        if (d->apd_ends_ns <= now) apd_times_out(m, device, now);
        else next_timer(m, d->apd_ends_ns);
    }
    if (m->state->command_timeout_ns) commands_due(m, now);
    if (m->state->caring) checks_due(m, now);
}

#endif
