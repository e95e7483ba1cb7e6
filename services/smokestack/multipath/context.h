/* Multipath as its kernel sees it: the tables with their types, and the queue of what happens
 * when. */
#ifndef SMOKESTACK_MULTIPATH_CONTEXT_H
#define SMOKESTACK_MULTIPATH_CONTEXT_H

#include "smokestack/records.h"
#include "tables.h"

#include "smokestack/sparse_histogram.h"

#define CAL_CTX slot_t *
#define CAL_TIME(ctx, i) ((ctx)[i].time)
#define CAL_NEXT(ctx, i) ((ctx)[i].next)
#define CAL_LESS(ctx, i, j)                                                                    \
    ((ctx)[i].time != (ctx)[j].time ? (ctx)[i].time < (ctx)[j].time : (ctx)[i].id < (ctx)[j].id)
#include "smokestack/calendar.h"

enum { T_STATE, T_DEVICE, T_PATH, T_ORDER, T_SLOT, T_HAND, T_BORN, T_OUT, T_DISPATCH, T_COUNTS,
       T_KERNEL_HISTOGRAM, T_PATH_HISTOGRAM, T_CALENDAR, T_BUCKET, T_NOTE, T_HEARD, T_POLICY,
       T_MEASURE, T_ADAPTER, T_WORLD, T_DETOUR, T_DETOUR_HISTOGRAM, T_LINK, T_TAP,
       T_PROBE, T_CHUNK, T_CONTROL, T_FAULT, T_CHAIN, T_CARE, T_HEALTH,
       T_WIDE_CHUNK, T_RECOVERY, T_TIMEOUT, T_FAILBACK, T_COUNT };
static const table_decl_t TABLES[T_COUNT] = {
    {"state", sizeof(mp_state_t)}, {"device", sizeof(device_t)},
    {"path", sizeof(path_t)}, {"order", sizeof(order_t)},
    {"slot", sizeof(slot_t)}, {"hand", sizeof(completion_t)},
    {"born", sizeof(completion_t)}, {"out", sizeof(completion_t)},
    {"dispatch", sizeof(submission_t)}, {"counts", sizeof(uint32_t)},
    {"kernel_histogram", sizeof(sparse_hist_t)}, {"path_histogram", sizeof(sparse_hist_t)},
    {"calendar", sizeof(calendar_t)}, {"bucket", sizeof(cal_bucket_t)},
    {"note", sizeof(note_t)}, {"heard", sizeof(uint64_t)},
    {"policy", sizeof(policy_t)}, {"measure", sizeof(measure_t)},
    {"adapter", sizeof(adapter_t)}, {"world", sizeof(world_t)},
    {"detour", sizeof(int64_t)}, {"detour_histogram", sizeof(sparse_hist_t)},
    {"link", sizeof(link_t)}, {"tap", sizeof(tap_t)},
    {"probe", sizeof(sparse_hist_t)}, {"chunk", sizeof(hist_chunk_t)},
    {"control", sizeof(control_t)},
    {"fault", sizeof(fault_t)}, {"chain", sizeof(chain_t)},
    {"care", sizeof(care_t)}, {"health", sizeof(health_t)},
    {"wide_chunk", sizeof(wide_chunk_t)}, {"recovery", sizeof(recovery_t)},
    {"timeout", sizeof(int64_t)}, {"failback", sizeof(failback_t)}};

/* What an answer to a path's check is in hand; it never leaves. */
enum { KIND_CHECK = KIND_TASK + 1 };

typedef struct {
    mp_state_t *state;
    device_t *device;
    path_t *path;
    order_t *order;
    slot_t *slot;
    completion_t *hand;
    completion_t *born;
    completion_t *out;
    submission_t *dispatch; /* dispatch_rows for each array */
    uint32_t *counts;       /* dispatches of this window, by array */
    sparse_hist_t *kernel_histogram;
    sparse_hist_t *path_histogram;
    calendar_t *calendar;
    cal_bucket_t *bucket;
    note_t *note; /* two rows for each completion in hand */
    uint64_t *heard; /* answers of each device that were no answers, by what they said */
    policy_t *policy;   /* by device */
    measure_t *measure; /* by path */
    adapter_t *adapter;
    world_t *world;
    int64_t *detour; /* a slot's time outside queues before its last dispatch, after the first */
    sparse_hist_t *detour_histogram; /* to add to a device's kernel histogram for its queue's */
    link_t *link;
    tap_t *tap;           /* by path, while the probe is on */
    sparse_hist_t *probe; /* several for each path */
    hist_chunk_t *chunk;
    wide_chunk_t *wide_chunk; /* of the three above that are not the probe's */
    control_t *control; /* by device */
    fault_t *fault;
    chain_t *chain;
    care_t *care;     /* by device */
    health_t *health; /* by path */
    recovery_t *recovery; /* by device */
    failback_t *failback; /* by device */
    const int64_t *timeout; /* those that commands have left with; 0: none */
    uint32_t health_rows;
    uint32_t slot_rows;
    uint32_t world_rows;
    int64_t dispatched_ns; /* of this window's first dispatch */
    uint32_t taken;        /* of the completions in hand, how many have had their time */
} mp_t;

static inline mp_t mp_of(const kernel_t *k) {
    return (mp_t){k->table[T_STATE],    k->table[T_DEVICE],
                  k->table[T_PATH],     k->table[T_ORDER],
                  k->table[T_SLOT],     k->table[T_HAND],
                  k->table[T_BORN],     k->table[T_OUT],
                  k->table[T_DISPATCH], k->table[T_COUNTS],
                  k->table[T_KERNEL_HISTOGRAM], k->table[T_PATH_HISTOGRAM],
                  k->table[T_CALENDAR], k->table[T_BUCKET],
                  k->table[T_NOTE],     k->table[T_HEARD],
                  k->table[T_POLICY],   k->table[T_MEASURE],
                  k->table[T_ADAPTER],  k->table[T_WORLD],
                  k->table[T_DETOUR],   k->table[T_DETOUR_HISTOGRAM],
                  k->table[T_LINK],     k->table[T_TAP],
                  k->table[T_PROBE],    k->table[T_CHUNK],
                  k->table[T_WIDE_CHUNK], k->table[T_CONTROL],
                  k->table[T_FAULT],    k->table[T_CHAIN],
                  k->table[T_CARE],     k->table[T_HEALTH],
                  k->table[T_RECOVERY], k->table[T_FAILBACK],
                  k->table[T_TIMEOUT],
                  k->rows[T_HEALTH],    k->rows[T_SLOT],
                  k->rows[T_WORLD],
                  NEVER_NS,             0};
}

static inline int rank(const completion_t *c) {
    return c->kind == KIND_EVENT ? 0 : c->kind == KIND_TASK ? 1 : 2;
}

/* The order in which records reach a submitter: at one instant events, then what is complete of
 * task management, then responses. */
static inline int before(const completion_t *a, const completion_t *b) {
    if (a->time != b->time) return a->time < b->time;
    if (a->kind >= KIND_EVENT || b->kind >= KIND_EVENT) {
        int first = rank(a), second = rank(b);
        if (first != second) return first < second;
    }
    return a->id != b->id ? a->id < b->id : a->attempt < b->attempt;
}

#endif
