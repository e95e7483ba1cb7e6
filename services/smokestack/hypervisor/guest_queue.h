/* The guest's own queue: commands wait in it for a place at their disk and at their VM's adapter.
 *
 * A place is taken at submission and given back at completion.  What finds none waits in its
 * disk's queue; a place that comes free goes to whoever has waited longest of those that can take
 * it, at a tie to the disk that was made first.  Commands of other disks do not wait behind one
 * whose disk is full.  Jobs of disks and VMs without a limit never come here.
 */
#ifndef SMOKESTACK_HYPERVISOR_GUEST_QUEUE_H
#define SMOKESTACK_HYPERVISOR_GUEST_QUEUE_H

static inline int has_place(const guest_queue_t *q, const adapter_t *a) {
    return (!q->depth || q->busy < q->depth) && (!a->depth || a->busy < a->depth);
}

/* The last in the queue of its disk; a disk with a queue is in its adapter's list. */
static void wait_for_place(hv_t *h, uint32_t disk, uint32_t i) {
    guest_queue_t *q = &h->queue[disk];
    adapter_t *a = &h->adapter[q->adapter];
    h->slot[i].next = 0;
    if (q->tail) {
        h->slot[q->tail - 1].next = i + 1;
    } else {
        q->head = i + 1;
        q->next = a->first;
        a->first = disk + 1;
    }
    q->tail = i + 1;
}

static uint32_t first_waiting(hv_t *h, uint32_t disk) {
    guest_queue_t *q = &h->queue[disk];
    uint32_t i = q->head - 1, *link = &h->adapter[q->adapter].first;
    q->head = h->slot[i].next;
    if (q->head) return i;
    q->tail = 0;
    while (*link != disk + 1) link = &h->queue[*link - 1].next;
    *link = q->next;
    return i;
}

/* A command comes to the queue of its disk, or comes back when a place is its own; returns whether
 * it is submitted now. */
static int enter(hv_t *h, job_t *j, uint32_t i, int64_t now) {
    guest_queue_t *q = &h->queue[j->disk];
    adapter_t *a = &h->adapter[q->adapter];
    if (h->slot[i].owed == OWED_PLACE) {
        j->waiting--;
        q->queued--;
        a->queued--;
        h->state->queued--;
        return 1;
    }
    h->entered[i] = now;
    if (has_place(q, a)) {
        q->busy++;
        a->busy++;
        return 1;
    }
    h->slot[i].time = now;
    wait_for_place(h, j->disk, i);
    j->waiting++;
    q->queued++;
    a->queued++;
    h->state->queued++;
    h->state->reactive++;
    return 0;
}

/* A command of a disk has completed; returns 1 more than the slot that its place goes to, or 0. */
static uint32_t leave(hv_t *h, uint32_t disk, int64_t now) {
    adapter_t *a = &h->adapter[h->queue[disk].adapter];
    h->queue[disk].busy--;
    a->busy--;
    uint32_t best = 0;
    int64_t since = 0;
    for (uint32_t at = a->first; at; at = h->queue[at - 1].next) {
        const guest_queue_t *q = &h->queue[at - 1];
        if (!has_place(q, a)) continue;
        int64_t came = h->entered[q->head - 1];
        if (!best || came < since || (came == since && at < best)) {
            best = at;
            since = came;
        }
    }
    if (!best) return 0;
    uint32_t i = first_waiting(h, best - 1);
    h->queue[best - 1].busy++;
    a->busy++;
    h->slot[i].owed = OWED_PLACE;
    h->slot[i].time = now;
    h->state->reactive--;
    return i + 1;
}

#endif
