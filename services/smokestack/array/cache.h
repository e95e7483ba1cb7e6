/* A controller's write cache: what it holds dirty, and how that gets to the media.
 *
 * A write is answered once the cache has it, and the partner's copy of it (`mirror_ns`); then it
 * is destaged at once, behind whatever its disk has to do, or as marks have it (`destage.h`).  Each
 * write is destaged once, nothing is merged.  A cache without room, or without a partner to mirror
 * it, makes a write wait for the media.  What was dirty when a controller was lost its partner
 * destages from the mirror, so destaging goes on.  FACTS 4.7; sizes and times are configured.
 */
#ifndef SMOKESTACK_ARRAY_CACHE_H
#define SMOKESTACK_ARRAY_CACHE_H

#include "answers.h"
#include "destage.h"

/* Sends a write's data to its disk when the controller is done with it, or has them wait. */
static void cache_destage(
    array_t *a, const io_t *io, uint32_t controller, uint64_t physical, int64_t done) {
    uint32_t i = a->state->io_free;
    io_t *row = &a->io[i];
    a->state->io_free = row->next;
    a->state->io_free_count--;
    a->state->destages++;
    *row = (io_t){.id = io->id, .lba = physical, .length = io->length, .itl = io->itl,
                  .epoch = controller, .attempt = io->attempt, .op = OP_DESTAGE};
    if (a->destage[controller].marked) {
        row->sense = DESTAGE_ENTERS;
        schedule(a, i, done, IDLE);
    } else {
        schedule(a, i, done, MEDIA);
    }
}

/* Whether a write ends in the cache; else the media must have it first. */
static int cache_takes(
    array_t *a, controller_t *c, const io_t *io, uint64_t physical, int64_t done) {
    if (!c->write_back) return 0;
    if (!c->cache_bytes) return 1;
    if (c->dirty_bytes + io->length > c->cache_bytes) {
        c->forced++;
        return 0;
    }
    c->dirty_bytes += io->length;
    cache_destage(a, io, (uint32_t)(c - a->controller), physical, done);
    return 1;
}

static void cache_destaged(array_t *a, uint32_t i) {
    controller_t *c = &a->controller[a->io[i].epoch];
    c->dirty_bytes -= a->io[i].length;
    c->destaged_bytes += a->io[i].length;
    destage_t *d = &a->destage[a->io[i].epoch];
    if (d->flushing && c->dirty_bytes <= d->low_bytes) d->flushing = 0;
    a->state->destages--;
    release(a, i);
}

#endif
