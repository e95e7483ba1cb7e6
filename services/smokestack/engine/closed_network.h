/* The bare closed network, the engine's own benchmark: what the event core costs on its own.
 *
 * Customers (a VM's outstanding I/Os) go round for ever: a fixed return time, then a server drawn
 * uniformly, FIFO, with exponential service.  A visit is one event, its departure, committed when
 * the customer sets out: since the return time is the same for all, customers reach the servers in
 * the order in which they set out, so start = max(arrival, the server's free time) is exact.
 * Events go by (time, customer); a visit's draws are keyed by (seed, visit, customer).
 */
#ifndef SMOKESTACK_CLOSED_NETWORK_H
#define SMOKESTACK_CLOSED_NETWORK_H

#include "smokestack/exponential.h"
#include "smokestack/kernel.h"
#include "smokestack/philox.h"
#include "smokestack/records.h"

#define CUSTOMER_FIELDS(F)                                                                     \
    F(int64_t, time_ns) /* of the departure that is queued */                                  \
    F(uint32_t, next)   /* the calendar's link */                                              \
    F(uint32_t, visits) /* begun so far */
DECLARE_STRUCT(customer_t, CUSTOMER_FIELDS)

#define NETWORK_FIELDS(F)                                                                      \
    F(uint64_t, seed)                                                                          \
    F(int64_t, mean_ns)      /* of the exponential service */                                  \
    F(int64_t, return_ns)    /* from a departure to the next arrival; at least 1 */            \
    F(int64_t, now_ns)       /* of the last completion */                                      \
    F(uint64_t, completions) /* since the start */                                             \
    F(uint64_t, checksum)    /* over (time, customer) of all completions, in order */
DECLARE_STRUCT(network_t, NETWORK_FIELDS)

#define CAL_CTX customer_t *
#define CAL_TIME(ctx, i) ((ctx)[i].time_ns)
#define CAL_NEXT(ctx, i) ((ctx)[i].next)
#define CAL_LESS(ctx, i, j)                                                                    \
    ((ctx)[i].time_ns < (ctx)[j].time_ns || ((ctx)[i].time_ns == (ctx)[j].time_ns && (i) < (j)))
#include "smokestack/calendar.h"

/* How many departures are taken at once, so that their memory is on its way before it is used. */
#define NETWORK_BATCH 32
#define NETWORK_TUNE_PERIOD 8192
#define NETWORK_CHECKSUM_FACTOR UINT64_C(0x9E3779B97F4A7C15)

typedef struct {
    network_t *state;
    customer_t *customer;
    uint32_t customer_count;
    int64_t *server; /* when each is next free */
    uint64_t server_count;
    calendar_t *calendar;
    cal_bucket_t *bucket;
} closed_network_t;

/* Draws a visit: its server in *server, its service time returned. */
static inline int64_t network_draw(const closed_network_t *n, uint32_t i, uint64_t *server) {
    uint64_t w[4];
    philox4x64_10(n->state->seed, STREAM_WORKLOAD, n->customer[i].visits++, i, 0, 0, w);
    *server = mulhi64(w[0], n->server_count);
    return exponential_ns(n->state->mean_ns, w[1]);
}

/* Commits customer i's departure, who set out at `from`; it is not queued yet. */
static inline void network_commit(const closed_network_t *n, uint32_t i, int64_t from,
                                  uint64_t server, int64_t service) {
    int64_t start = from + n->state->return_ns;
    if (start < n->server[server]) start = n->server[server];
    n->server[server] = start + service;
    n->customer[i].time_ns = start + service;
}

static inline void network_complete(network_t *s, uint32_t i, int64_t now) {
    s->checksum = (s->checksum ^ (uint64_t)now) * NETWORK_CHECKSUM_FACTOR + i;
    s->completions++;
    s->now_ns = now;
}

/* All customers set out at time 0, in order; the tables are zeroed but for the settings. */
static void network_start(const closed_network_t *n, uint32_t buckets_max) {
    *n->calendar = (calendar_t){.mask = CAL_BUCKETS_MIN - 1, .shift = 10,
                                .buckets_max = buckets_max};
    cal_clear(n->calendar, n->bucket);
    for (uint32_t i = 0; i < n->customer_count; i++) {
        uint64_t server;
        int64_t service = network_draw(n, i, &server);
        network_commit(n, i, 0, server, service);
        cal_push(n->calendar, n->bucket, n->customer, i);
    }
}

/* Takes the departures of one return time, at most `want`, and queues their successors.
 *
 * Whoever sets out at t departs again at t + return or later, so nothing queued here can come
 * before anything taken here: taking many at once changes no order. */
static uint32_t network_batch(const closed_network_t *n, uint32_t want) {
    uint32_t who[NETWORK_BATCH], count = 0;
    uint64_t server[NETWORK_BATCH];
    int64_t service[NETWORK_BATCH];
    int64_t limit = NEVER_NS;
    while (count < want) {
        uint32_t i = cal_peek(n->calendar, n->bucket, n->customer, limit);
        if (i == CAL_NIL) break;
        cal_pop(n->calendar, n->bucket, n->customer, i);
        if (count == 0) limit = n->customer[i].time_ns + n->state->return_ns;
        who[count++] = i;
    }
    for (uint32_t k = 0; k < count; k++) {
        service[k] = network_draw(n, who[k], &server[k]);
        __builtin_prefetch(&n->server[server[k]], 1);
    }
    for (uint32_t k = 0; k < count; k++) {
        int64_t now = n->customer[who[k]].time_ns;
        network_complete(n->state, who[k], now);
        network_commit(n, who[k], now, server[k], service[k]);
        cal_prefetch(n->calendar, n->bucket, n->customer[who[k]].time_ns);
    }
    for (uint32_t k = 0; k < count; k++) cal_push(n->calendar, n->bucket, n->customer, who[k]);
    return count;
}

static void network_run(const closed_network_t *n, uint64_t events) {
    while (events > 0) {
        uint64_t period = events < NETWORK_TUNE_PERIOD ? events : NETWORK_TUNE_PERIOD;
        events -= period;
        while (period > 0)
            period -= network_batch(n, period < NETWORK_BATCH ? (uint32_t)period : NETWORK_BATCH);
        cal_tune(n->calendar, n->bucket, n->customer);
    }
}

#endif
