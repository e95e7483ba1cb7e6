/* The probe: what a tap on the wire sees of each I_T_L nexus (FACTS 6).  It changes nothing.
 *
 * For each path, histograms of exchange completion time by direction, of its parts, of sizes and
 * of the gaps between commands; the longest queue and exchange of this second of virtual time and
 * of the one before; how many commands went on where the last one ended.
 */
#ifndef SMOKESTACK_MULTIPATH_PROBE_H
#define SMOKESTACK_MULTIPATH_PROBE_H

#include "context.h"

#define PROBE_SECOND_NS 1000000000

/* Histograms of each path; probe.py has the same order. */
enum { PROBE_READ, PROBE_WRITE, PROBE_OTHER, /* exchange completion time */
       PROBE_FIRST_DATA, /* of reads: from command to first data */
       PROBE_WRITE_ACK,  /* of writes: from command to transfer ready */
       PROBE_ARRAY,      /* what the array takes of an exchange */
       PROBE_WIRE,       /* and what the fabric takes, there and back */
       PROBE_GAP,        /* from one command to the next */
       PROBE_READ_BYTES, PROBE_WRITE_BYTES, PROBE_HISTOGRAMS };

static inline void probe_add(mp_t *m, uint32_t path, uint32_t which, uint64_t value) {
    sparse_hist_t *h = &m->probe[(size_t)path * PROBE_HISTOGRAMS + which];
    sparse_add(h, m->chunk, &m->state->chunk_used, value);
}

/* Lets a new second begin for what is kept of the last two. */
static inline void probe_second(tap_t *tap, int64_t now) {
    int64_t second = now / PROBE_SECOND_NS;
    if (second == tap->second) return;
    int next = second == tap->second + 1;
    tap->longest_before_ns = next ? tap->longest_ns : 0;
    tap->pending_before = next ? tap->pending : 0;
    tap->longest_ns = 0;
    tap->pending = 0;
    tap->second = second;
}

static void probe_sent(mp_t *m, const slot_t *s, int64_t now) {
    tap_t *tap = &m->tap[s->path];
    const path_t *path = &m->path[s->path];
    probe_second(tap, now);
    if (tap->sent) probe_add(m, s->path, PROBE_GAP, (uint64_t)(now - tap->sent_ns));
    if (tap->sent && lba_of(s) == tap->next_lba) tap->sequential++;
    tap->sent++;
    tap->sent_ns = now;
    tap->next_lba = lba_of(s) + s->length / BLOCK_BYTES;
    if (path->in_flight > tap->pending) tap->pending = path->in_flight;
}

static void probe_answered(mp_t *m, const completion_t *c, const slot_t *s) {
    tap_t *tap = &m->tap[s->path];
    uint64_t exchange_ns = (uint64_t)(c->time - s->dispatch_ns);
    int read = s->op == OP_READ, write = s->op == OP_WRITE;
    probe_second(tap, c->time);
    if (exchange_ns > tap->longest_ns) tap->longest_ns = exchange_ns;
    probe_add(m, s->path, read ? PROBE_READ : write ? PROBE_WRITE : PROBE_OTHER, exchange_ns);
    probe_add(m, s->path, PROBE_ARRAY, c->array_ns);
    probe_add(m, s->path, PROBE_WIRE, exchange_ns - c->array_ns);
    if (c->status != STATUS_GOOD || (!read && !write)) return;
    probe_add(m, s->path, read ? PROBE_FIRST_DATA : PROBE_WRITE_ACK, c->first_data_ns);
    probe_add(m, s->path, read ? PROBE_READ_BYTES : PROBE_WRITE_BYTES, s->length);
}

#endif
