/* What arrays answer: commands settled, refusals that rejoin their queue. */
#ifndef SMOKESTACK_MULTIPATH_ANSWERS_H
#define SMOKESTACK_MULTIPATH_ANSWERS_H

#include "checkers.h"
#include "throttle.h"

/* Of a command that was refused, or lost with a path: the time of its kernel share that it spent
 * in queues.  Few are, so only the difference is kept of its histogram. */
static uint64_t queue_ns_of(mp_t *m, uint32_t i, uint64_t kernel_ns) {
    uint64_t queue_ns = kernel_ns - (uint64_t)m->detour[i];
    sparse_hist_t *h = &m->detour_histogram[m->slot[i].device];
    h->sum += queue_ns - kernel_ns; /* modulo 2^64, as are the buckets */
    ++*wide_bucket(h, m->wide_chunk, &m->state->wide_chunk_used, queue_ns);
    --*wide_bucket(h, m->wide_chunk, &m->state->wide_chunk_used, kernel_ns);
    return queue_ns;
}

/* Tells where an answered command's time went: guest = device + kernel, queue is of kernel. */
static inline void account(mp_t *m, const completion_t *c, uint32_t i, path_t *path) {
    const slot_t *s = &m->slot[i];
    world_t *w = &m->world[s->world];
    uint64_t device_ns = (uint64_t)(c->time - s->dispatch_ns);
    uint64_t kernel_ns = (uint64_t)(s->dispatch_ns - s->submit_ns);
    uint64_t queue_ns = s->attempt ? queue_ns_of(m, i, kernel_ns) : kernel_ns;
    uint32_t *used = &m->state->wide_chunk_used; /* `accept` has seen to it that four are free */
    wide_add(&m->path_histogram[s->path], m->wide_chunk, used, device_ns);
    wide_add(&m->kernel_histogram[s->device], m->wide_chunk, used, kernel_ns);
    path->ios++;
    path->bytes += s->length;
    path->device_ns += device_ns;
    path->kernel_ns += kernel_ns;
    path->queue_ns += queue_ns;
    path->guest_ns += (uint64_t)(c->time - s->submit_ns);
    w->ios++;
    w->bytes += s->length;
    w->device_ns += device_ns;
    w->kernel_ns += kernel_ns;
    w->queue_ns += queue_ns;
}

static void settle(mp_t *m, const completion_t *c, uint32_t i, path_t *path, device_t *d) {
    slot_t *s = &m->slot[i];
    account(m, c, i, path);
    world_leave(m, d, s->world);
    if (m->state->probing) probe_answered(m, c, s);
    if (d->adaptive && c->status == STATUS_GOOD) throttle_good(m, s->device, c->time);
    if (c->status != STATUS_GOOD) {
        path->errors++;
        d->errors++;
        if (c->sense == SENSE_LBA_OUT_OF_RANGE) path->out_of_range++;
    } else if (s->op == OP_WRITE) {
        d->writes++;
        d->write_bytes += s->length;
    } else if (s->op == OP_READ) {
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
    if (d->adaptive) throttle_refused(m, s->device, c->time);
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
    if (d->adaptive == RULE_LEGACY && retried(c) && is_refusal(c)) {
        hang(m, c, i, path, d);
        return;
    }
    undispatch(m, s, path, d);
    ended(m, s, c->time, !retried(c), c->status == STATUS_GOOD ? c->cause : 0);
    adapter_release(m, path, c->time);
    if (!retried(c)) settle(m, c, i, path, d);
    else if (is_refusal(c)) retry_later(m, c, i, path, d);
    else try_again(m, c, i, d);
    pump(m, s->device, c->time);
}

static void retry(mp_t *m, uint32_t i) {
    slot_t *s = &m->slot[i];
    device_t *d = &m->device[s->device];
    d->retries++;
    detour(m, i, s->time);
    queue_rejoin(m, d, i, s->time);
    pump(m, s->device, s->time);
}

#endif
