/* What arrays answer: commands settled, refusals that rejoin their queue. */
#ifndef SMOKESTACK_MULTIPATH_ANSWERS_H
#define SMOKESTACK_MULTIPATH_ANSWERS_H

#include "attentions.h"

static void settle(mp_t *m, const completion_t *c, slot_t *s, path_t *path, device_t *d) {
    uint64_t device_ns = (uint64_t)(c->time - s->dispatch_ns);
    hist_add(&m->path_histogram[s->path], device_ns);
    hist_add(&m->kernel_histogram[s->device], (uint64_t)(s->dispatch_ns - s->submit_ns));
    path->ios++;
    path->bytes += s->length;
    if (c->status != STATUS_GOOD) {
        path->errors++;
        d->errors++;
        if (c->sense == SENSE_LBA_OUT_OF_RANGE) path->out_of_range++;
    } else if (s->op == OP_WRITE) {
        d->writes++;
        d->write_bytes += s->length;
    } else {
        d->reads++;
        d->read_bytes += s->length;
    }
    s->phase = PHASE_FREE;
}

/* A refused command frees its place in the device and rejoins the head of the queue later. */
static void retry_later(mp_t *m, const completion_t *c, uint32_t i, path_t *path, device_t *d) {
    slot_t *s = &m->slot[i];
    if (c->status == STATUS_BUSY) d->busy++;
    else d->task_set_full++;
    path->refused++;
    s->attempt++;
    s->phase = PHASE_RETRYING;
    s->time = c->time + m->state->retry_delay_ns;
    cal_push(m->calendar, m->bucket, m->slot, i);
}

static void complete(mp_t *m, const completion_t *c) {
    uint32_t i = (uint32_t)(c->id >> SLOT_SHIFT);
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[s->path];
    device_t *d = &m->device[s->device];
    d->active--;
    path->in_flight--;
    path->in_flight_bytes -= s->length;
    ended(m, s, c->time, !retried(c));
    if (!retried(c)) settle(m, c, s, path, d);
    else if (is_refusal(c)) retry_later(m, c, i, path, d);
    else try_again(m, c, i, d);
    pump(m, s->device, c->time);
}

static void retry(mp_t *m, uint32_t i) {
    slot_t *s = &m->slot[i];
    device_t *d = &m->device[s->device];
    d->retries++;
    queue_rejoin(m, d, i);
    pump(m, s->device, s->time);
}

#endif
