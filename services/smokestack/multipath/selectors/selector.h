/* What a path selection policy is: given a device and its paths, the one to use now.
 *
 * A policy is a header of its own with one selector_t, listed in all.h; its head comment is the
 * specification.  Only paths that are usable() may be chosen; NIL says that there is none.
 * Policies keep their state in the device's row, in its policy's row and in its paths' measures,
 * and read no clock: the time is passed in.  Hooks that a policy does not need are left out.
 */
#ifndef SMOKESTACK_SELECTOR_H
#define SMOKESTACK_SELECTOR_H

#include "../tables.h"
#include "smokestack/records.h"

typedef struct {
    device_t *device;
    policy_t *policy; /* the device's */
    path_t *paths;    /* all paths; order says which are the device's */
    measure_t *measures;
    order_t *order; /* path_count rows */
    int64_t now_ns;
    uint32_t length; /* of the command that is to be sent, or that has ended; bytes */
    uint32_t vm;     /* whose it is */
    uint32_t hint;   /* what its array has told with the answer, 0: nothing */
} choice_t;

typedef struct {
    /* A path is new to the policy; its measures are 0, its settings are there. */
    void (*add_path)(const choice_t *, uint32_t path);
    /* A path was usable and is not (DEAD or DISABLED), or the other way round. */
    void (*fail_path)(const choice_t *, uint32_t path);
    void (*reinstate_path)(const choice_t *, uint32_t path);
    uint32_t (*select_path)(const choice_t *);
    /* A command leaves on the path that was selected. */
    void (*start_io)(const choice_t *, uint32_t path);
    /* It has come back: `answered` for good, or refused, or lost with its path. */
    void (*end_io)(const choice_t *, uint32_t path, int64_t start_ns, int answered);
} selector_t;

static inline int usable(const choice_t *c, uint32_t path) {
    return c->paths[path].state == PATH_ACTIVE;
}

/* Whether a path that is not in use would pull its volume over, if a command came by it. */
static inline int pulls(const choice_t *c, uint32_t path) {
    return c->paths[path].state == PATH_STANDBY && c->paths[path].access == ACCESS_STATE_PASSIVE;
}

/* Takes the path at a place of the list by use: it is now the most recently used one. */
static inline uint32_t take_used(const choice_t *c, uint32_t place) {
    if (place == NIL) return NIL;
    uint32_t path = c->order[place].used, last = c->device->path_count - 1;
    for (; place < last; place++) c->order[place].used = c->order[place + 1].used;
    c->order[last].used = path;
    return path;
}

/* A path that comes back waits for its turn behind all others, as in dm-multipath. */
static inline void reinstate_last(const choice_t *c, uint32_t path) {
    for (uint32_t i = 0; i < c->device->path_count; i++)
        if (c->order[i].used == path) {
            take_used(c, i);
            return;
        }
}

/* The first usable path in boot order. */
static inline uint32_t first_usable(const choice_t *c) {
    for (uint32_t i = 0; i < c->device->path_count; i++)
        if (usable(c, c->order[i].sorted)) return c->order[i].sorted;
    return NIL;
}

/* The place in boot order of the next usable path after the current one, which comes last. */
static inline uint32_t next_usable(const choice_t *c) {
    uint32_t at = c->device->current, count = c->device->path_count;
    for (uint32_t i = 0; i < count; i++) {
        at = at == NIL || at + 1 >= count ? 0 : at + 1;
        if (usable(c, c->order[at].sorted)) return at;
    }
    return NIL;
}

#endif
