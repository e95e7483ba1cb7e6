/* What a path selection policy is: given a device and its paths, the one to use now.
 *
 * A policy is a header of its own with one function of this type, listed in all.h.  Only ACTIVE
 * paths may be chosen; NIL says that there is none.  Policies keep their state in the device's
 * row and read no clock: the time of the choice is passed in.
 */
#ifndef SMOKESTACK_SELECTOR_H
#define SMOKESTACK_SELECTOR_H

#include "../tables.h"
#include "smokestack/records.h"

typedef struct {
    device_t *device;
    path_t *paths;  /* all paths; order says which are the device's */
    order_t *order; /* path_count rows */
    int64_t now_ns;
} choice_t;

typedef uint32_t (*selector_t)(const choice_t *);

static inline int usable(const choice_t *c, uint32_t path) {
    return c->paths[path].state == PATH_ACTIVE;
}

#endif
