/* How pools hand out space, grow, warn and run short.
 *
 * A volume takes its pages one by one, or in steps of which it keeps the rest as room (FACTS 4.6:
 * 3PAR's grow when they are used up in less than a minute).  A thick volume has room for each of
 * its pages from the start; only to part from a shared one it needs another.  A pool has all its
 * space from the start, or draws it in increments from a group of drives, which other pools draw
 * from, too.
 */
#ifndef SMOKESTACK_ARRAY_GROWTH_H
#define SMOKESTACK_ARRAY_GROWTH_H

#include "attentions.h"
#include "mapping.h"

static inline uint64_t pool_used(const pool_t *pool) {
    return pool->allocated_pages + pool->room_pages;
}

/* Pages that it can still hand out: up to its limit, and as far as the disks let it grow. */
static uint64_t pool_free(const array_t *a, const pool_t *pool) {
    uint64_t used = pool_used(pool);
    uint64_t free = pool->limit_pages > used ? pool->limit_pages - used : 0;
    if (!pool->growth_pages || !pool->raw_page_bytes) return free;
    uint64_t ahead = pool->grown_pages > used ? pool->grown_pages - used : 0;
    uint64_t more = a->raw_free[pool->drive_group] / pool->raw_page_bytes;
    return free > ahead + more ? ahead + more : free;
}

/* Draws increments until the pool has what it handed out; `pool_free` has seen that it can. */
static uint64_t pool_grow(array_t *a, pool_t *pool) {
    uint64_t *raw_free = &a->raw_free[pool->drive_group];
    uint64_t missing = pool_used(pool) - pool->grown_pages;
    uint64_t more = (missing + pool->growth_pages - 1) / pool->growth_pages * pool->growth_pages;
    uint64_t most = pool->limit_pages - pool->grown_pages;
    if (more > most) more = most;
    if (pool->raw_page_bytes && *raw_free != UINT64_MAX) {
        uint64_t last = *raw_free / pool->raw_page_bytes;
        if (more > last) more = last;
        *raw_free -= more * pool->raw_page_bytes;
    }
    pool->grown_pages += more;
    pool->growths++;
    return more;
}

/* Warns once at the threshold, and slows down or stops where the pool's profile has it so. */
static void pool_watch(array_t *a, uint32_t p, int64_t now) {
    array_state_t *s = a->state;
    pool_t *pool = &a->pool[p];
    uint64_t used = pool_used(pool);
    if (!pool->warned && used >= pool->warning_pages) {
        pool->warnings++;
        pool->warned = NOTE(s, a->note, .time = now, .kind = NOTE_POOL_WARNING, .subject = p,
                            .detail = used);
        attention_establish_all(a, NIL, NIL, p, ATTENTION_SOFT_THRESHOLD, pool->warned);
    }
    if (pool->out_of_space != FULL_CONSERVES) return;
    uint64_t free = pool_free(a, pool);
    if (!pool->conserving && free <= pool->conservation_pages)
        pool->conserving = NOTE(s, a->note, .time = now, .kind = NOTE_POOL_CONSERVING,
                                .subject = p, .detail = free);
    pool->emergency = free <= pool->emergency_pages;
}

/* How large a volume's next step is: it ends with the volume, and what that may have beyond. */
static uint64_t volume_step(volume_t *volume, pool_t *pool, int64_t now) {
    uint64_t size = (volume->capacity_bytes + pool->page_bytes - 1) / pool->page_bytes;
    uint64_t most = size + pool->overdraft_pages;
    uint64_t has = volume->allocated_pages + volume->room_pages, left = most > has ? most - has : 0;
    if (volume->step_pages == 0) {
        volume->step_pages = pool->step_pages;
    } else if (now - volume->step_ns < pool->step_window_ns) {
        volume->step_pages += pool->step_pages;
        if (volume->step_pages > pool->step_most_pages) volume->step_pages = pool->step_most_pages;
    }
    volume->step_ns = now;
    pool->steps++;
    return volume->step_pages < left ? volume->step_pages : left;
}

/* Lets a volume take so many new pages, a thick one besides its room; returns 0 when the pool does
 * not have them. */
static int space_take(array_t *a, uint32_t v, uint64_t pages, int64_t now) {
    volume_t *volume = &a->volume[v];
    pool_t *pool = &a->pool[volume->pool];
    uint64_t spare = volume->thick ? 0 : volume->room_pages;
    if (spare >= pages) return 1;
    uint64_t extra = pages - spare, free = pool_free(a, pool);
    if (extra > free) return 0;
    if (pool->step_pages && !volume->thick) {
        uint64_t step = volume_step(volume, pool, now);
        if (extra < step) extra = step < free ? step : free;
    }
    volume->room_pages += extra;
    pool->room_pages += extra;
    if (pool->growth_pages && pool_used(pool) > pool->grown_pages) {
        uint64_t more = pool_grow(a, pool);
        NOTE(a->state, a->note, .time = now, .kind = NOTE_POOL_GREW, .subject = volume->pool,
             .detail = v, .more = more);
    }
    if (pool->watched) pool_watch(a, volume->pool, now);
    return 1;
}

/* Whoever waits for space in a pool that has some goes on. */
static void pool_resume(array_t *a, uint32_t p, int64_t now, uint64_t cause, uint64_t free) {
    array_state_t *s = a->state;
    pool_t *pool = &a->pool[p];
    if (pool->exhausted) {
        pool->exhausted = 0;
        NOTE(s, a->note, .time = now, .kind = NOTE_POOL_SPACE_AVAILABLE, .subject = p,
             .cause = cause, .detail = free);
    }
    for (uint32_t v = 0; pool->offline_count; v++) {
        volume_t *volume = &a->volume[v];
        if (volume->pool != p || !volume->offline) continue;
        volume->offline = 0;
        pool->offline_count--;
        if (!volume->valid) continue;
        NOTE(s, a->note, .time = now, .kind = NOTE_VOLUME_ONLINE, .subject = v, .cause = cause);
    }
}

/* After a pool has gained space, as far as its limit and its drives let it: what was said of its
 * want is taken back. */
static void pool_ease(array_t *a, uint32_t p, int64_t now, uint64_t cause) {
    array_state_t *s = a->state;
    pool_t *pool = &a->pool[p];
    uint64_t free = pool_free(a, pool);
    if (free) pool_resume(a, p, now, cause, free);
    if (pool_used(pool) < pool->warning_pages) pool->warned = 0;
    if (pool->conserving && free > pool->conservation_pages) {
        pool->conserving = 0;
        NOTE(s, a->note, .time = now, .kind = NOTE_POOL_EASED, .subject = p, .cause = cause,
             .detail = free);
    }
    if (free > pool->emergency_pages) pool->emergency = 0;
}

#endif
