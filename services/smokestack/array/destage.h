/* When data leave a write cache that has marks.
 *
 * Data wait in the cache, oldest first, until their disk has nothing to do (idle flushing): then
 * they take it, behind whatever else comes at that instant.  When more is dirty than the high mark,
 * the oldest join their disks' queues at once, as any access does, and so does what comes after,
 * until no more is dirty than the low mark (watermark flushing).  A full cache takes nothing more,
 * and writes wait for the media (forced flushing; `cache_takes`).  A CLARiiON has these three, with
 * marks of 60 and 80 % (EMC's best practices for release 30); that reads queue behind a flush, in
 * one order of arrival, is ours.
 *
 * A row that waits is in two lists: its controller's, by age, and its disk's.  The first of a disk
 * has an event, at which it looks whether the disk is idle; what is flushed takes its place on the
 * disk at once, and its event, if it has one, sends it on to the end of that.
 */
#ifndef SMOKESTACK_ARRAY_DESTAGE_H
#define SMOKESTACK_ARRAY_DESTAGE_H

#include "media.h"

/* A row that is on its way from a cache with marks says in its `sense` how far it is. */
enum { DESTAGE_WAITS = 0, DESTAGE_ENTERS = 1, DESTAGE_COMMITTED = 2 };

enum { BY_AGE, BY_DISK };

/* The word in which a row has its neighbours in a list: before << 32 | after, 1 more than rows. */
static inline uint64_t *neighbours(array_t *a, uint32_t number, int list) {
    io_t *io = &a->io[number - 1];
    return list == BY_DISK ? &io->first_data_ns : (uint64_t *)&io->arrival_ns;
}

static void line_join(array_t *a, line_t *line, uint32_t number, int list) {
    *neighbours(a, number, list) = (uint64_t)line->last << 32;
    if (line->last) *neighbours(a, line->last, list) |= number;
    else line->first = number;
    line->last = number;
}

static void line_leave(array_t *a, line_t *line, uint32_t number, int list) {
    uint64_t word = *neighbours(a, number, list);
    uint32_t before = (uint32_t)(word >> 32), after = (uint32_t)word;
    if (before) *neighbours(a, before, list) += (uint64_t)after - number;
    else line->first = after;
    if (after) *neighbours(a, after, list) += ((uint64_t)before - number) << 32;
    else line->last = before;
}

/* Takes a row from the cache to its disk, where it has its place from now on; returns its end. */
static int64_t destage_commit(array_t *a, uint32_t i, int64_t now) {
    io_t io = a->io[i];
    destage_t *d = &a->destage[io.epoch];
    line_leave(a, &a->aged[io.epoch], i + 1, BY_AGE);
    line_leave(a, &a->idle[disk_of(a, &io)], i + 1, BY_DISK);
    d->waiting_bytes -= io.length;
    io.time = now;
    return media_commit(a, &io);
}

/* Lets the first that waits for a disk look at it when it may be idle. */
static void idle_next(array_t *a, uint64_t disk) {
    uint32_t first = a->idle[disk].first;
    if (first) schedule(a, first - 1, a->disk[disk], IDLE);
}

/* Flushes the oldest of a controller, until no more than so much waits. */
static void destage_flush(array_t *a, uint32_t controller, uint64_t down_to, int64_t now) {
    const destage_t *d = &a->destage[controller];
    while (d->waiting_bytes > down_to) {
        uint32_t i = a->aged[controller].first - 1;
        uint64_t disk = disk_of(a, &a->io[i]);
        int has_event = a->idle[disk].first == i + 1;
        int64_t done = destage_commit(a, i, now);
        if (has_event) {
            a->io[i].sense = DESTAGE_COMMITTED;
            a->io[i].arrival_ns = done;
            idle_next(a, disk);
        } else {
            schedule(a, i, done, DESTAGED);
        }
    }
}

/* Takes the disk if it has nothing to do, else looks again when it may be idle. */
static void idle_look(array_t *a, uint32_t i) {
    int64_t now = a->io[i].time;
    uint64_t disk = disk_of(a, &a->io[i]);
    if (a->disk[disk] > now) {
        schedule(a, i, a->disk[disk], IDLE);
        return;
    }
    schedule(a, i, destage_commit(a, i, now), DESTAGED);
    idle_next(a, disk);
}

/* The controller has the data: they wait, or set off if it is not to keep any. */
static void destage_enter(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    int64_t now = io->time;
    uint32_t controller = io->epoch;
    destage_t *d = &a->destage[controller];
    io->sense = DESTAGE_WAITS;
    if (d->drains) {
        schedule(a, i, media_commit(a, io), DESTAGED);
        return;
    }
    line_t *disk = &a->idle[disk_of(a, io)];
    line_join(a, &a->aged[controller], i + 1, BY_AGE);
    line_join(a, disk, i + 1, BY_DISK);
    d->waiting_bytes += io->length;
    if (disk->first == i + 1) idle_look(a, i);
    if (!d->flushing && a->controller[controller].dirty_bytes > d->high_bytes) {
        d->flushing = 1;
        d->flushes++;
    }
    if (d->flushing) destage_flush(a, controller, d->low_bytes, now);
}

static void idle_take(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    if (io->sense == DESTAGE_ENTERS) destage_enter(a, i);
    else if (io->sense == DESTAGE_COMMITTED) schedule(a, i, io->arrival_ns, DESTAGED);
    else idle_look(a, i);
}

#endif
