/* The hypervisor's I/O: jobs that issue, the brokering cost, and what guests see come back.
 *
 * It drives the tree.  A window runs until something unknown could arrive: no later than the time
 * that the last reply promised, and no later than one lookahead after its own first submission.
 */
#include "smokestack/records.h"
#include "tables.h"

#include "smokestack/exponential.h"
#include "smokestack/philox.h"
#include "smokestack/sha256.h"
#include "smokestack/sparse_histogram.h"

enum { T_STATE, T_JOB, T_SLOT, T_DISK, T_SIZE, T_ZIPF, T_TRACE, T_FREE, T_INBOX, T_OUT,
       T_HISTOGRAM, T_CALENDAR, T_BUCKET, T_NOTE, T_DIGEST, T_CHUNK,
       T_QUEUE, T_ADAPTER, T_ENTERED, T_WAIT, T_COUNT };

typedef struct {
    hv_state_t *state;
    job_t *job;
    slot_t *slot;
    disk_t *disk;
    size_row_t *size;
    uint32_t *zipf;
    trace_record_t *trace;
    uint32_t *free; /* each job's stack of free slots, at its slot_base */
    completion_t *inbox;
    submission_t *out;
    sparse_hist_t *histogram; /* by disk */
    wide_chunk_t *chunk;
    note_t *note; /* a row for each completion in the inbox and each job */
    guest_queue_t *queue;
    adapter_t *adapter;
    int64_t *entered;    /* by slot: when its command came to the guest's queue */
    sparse_hist_t *wait; /* by disk: how long those waited that did */
} hv_t;

/* Events are the issue of a slot, or, above JOB_NODE, the next arrival of a job. */
#define JOB_NODE 0x80000000u
#define CAL_CTX hv_t *
#define CAL_TIME(ctx, i)                                                                       \
    ((i) & JOB_NODE ? (ctx)->job[(i) & ~JOB_NODE].arrival_ns : (ctx)->slot[i].time)
#define CAL_NEXT(ctx, i) (*hv_next(ctx, i))
#define CAL_LESS(ctx, i, j) hv_less(ctx, i, j)

static inline uint32_t *hv_next(hv_t *h, uint32_t i) {
    return i & JOB_NODE ? &h->job[i & ~JOB_NODE].next : &h->slot[i].next;
}

static inline int hv_less(hv_t *h, uint32_t i, uint32_t j) {
    int64_t a = CAL_TIME(h, i), b = CAL_TIME(h, j);
    return a != b ? a < b : i < j;
}

#include "smokestack/calendar.h"

#include "guest_queue.h"

static const table_decl_t TABLES[T_COUNT] = {
    {"state", sizeof(hv_state_t)}, {"job", sizeof(job_t)},
    {"slot", sizeof(slot_t)}, {"disk", sizeof(disk_t)},
    {"size", sizeof(size_row_t)}, {"zipf", sizeof(uint32_t)},
    {"trace", sizeof(trace_record_t)}, {"free", sizeof(uint32_t)},
    {"inbox", sizeof(completion_t)}, {"out", sizeof(submission_t)},
    {"histogram", sizeof(sparse_hist_t)}, {"calendar", sizeof(calendar_t)},
    {"bucket", sizeof(cal_bucket_t)}, {"note", sizeof(note_t)},
    {"digest", sizeof(sha256_t)}, {"chunk", sizeof(wide_chunk_t)},
    {"queue", sizeof(guest_queue_t)}, {"adapter", sizeof(adapter_t)},
    {"entered", sizeof(int64_t)}, {"wait", sizeof(sparse_hist_t)}};

static inline hv_t hv_of(const kernel_t *k) {
    return (hv_t){k->table[T_STATE], k->table[T_JOB],   k->table[T_SLOT],  k->table[T_DISK],
                  k->table[T_SIZE],  k->table[T_ZIPF],  k->table[T_TRACE], k->table[T_FREE],
                  k->table[T_INBOX], k->table[T_OUT],   k->table[T_HISTOGRAM],
                  k->table[T_CHUNK], k->table[T_NOTE],  k->table[T_QUEUE], k->table[T_ADAPTER],
                  k->table[T_ENTERED], k->table[T_WAIT]};
}

static inline calendar_t *calendar_of(const kernel_t *k) { return k->table[T_CALENDAR]; }
static inline cal_bucket_t *bucket_of(const kernel_t *k) { return k->table[T_BUCKET]; }

#define NO_END INT64_MAX

static inline int clock_driven(const job_t *j) {
    return j->kind == JOB_RATE || j->kind == JOB_TRACE_OPEN;
}

/* --- what an I/O is ------------------------------------------------------------------------ */

#define ZIPF_RANKS 1024u

static uint64_t zipf_index(const uint32_t *cumulative, uint64_t word, uint64_t places) {
    uint32_t u = (uint32_t)(word >> 32), low = 0, high = ZIPF_RANKS - 1;
    while (low < high) { /* the first rank whose cumulative weight exceeds u */
        uint32_t middle = (low + high) / 2;
        if (u < cumulative[middle]) high = middle;
        else low = middle + 1;
    }
    uint64_t bucket = (low * 389u) & (ZIPF_RANKS - 1); /* hot ranks lie scattered */
    uint64_t index = (uint64_t)(((unsigned __int128)bucket * places) >> 10);
    uint64_t span = (uint64_t)(((unsigned __int128)(bucket + 1) * places) >> 10) - index;
    if (span == 0) span = 1;
    index += (uint64_t)(((unsigned __int128)(word & 0xffffffffu) * span) >> 32);
    return index < places ? index : places - 1;
}

static void synthesise(hv_t *h, job_t *j, uint64_t sequence, submission_t *io) {
    uint64_t w[4];
    philox4x64_10(h->state->seed, STREAM_WORKLOAD, sequence, j->uid, 0, 0, w);
    int reads = j->read_always || w[0] < j->read_threshold;
    io->op = reads ? OP_READ : (uint8_t)j->write_op;
    io->flags = reads ? 0 : (uint8_t)j->write_flags;
    if (!reads && w[3] < j->zero_threshold) io->flags |= FLAG_ZEROS;
    const size_row_t *size = &h->size[j->size_base];
    while (w[1] >> 32 >= size->threshold) size++;
    io->length = (uint32_t)size->length;
    uint64_t places = j->region_bytes / size->length, offset;
    if (j->pattern == PATTERN_SEQUENTIAL) {
        if (j->cursor + size->length > j->region_bytes) j->cursor = 0;
        offset = j->cursor;
        j->cursor += size->length;
    } else if (j->pattern == PATTERN_ZIPF) {
        offset = zipf_index(&h->zipf[j->zipf_base], w[2], places) * size->length;
    } else {
        offset = mulhi64(w[2], places) * size->length;
    }
    io->lba = j->first_block + offset / BLOCK_BYTES;
    if (io->op == OP_COPY)
        io->lba = j->copy_source / COPY_UNIT_BLOCKS << COPY_PLACE_BITS | io->lba / COPY_UNIT_BLOCKS;
}

/* A submission is made in its place among those of its instant, which are in order of id. */
static submission_t *place_for(hv_t *h, uint32_t count, int64_t now, uint64_t id) {
    uint32_t at = count;
    for (; at > 0 && h->out[at - 1].time == now && h->out[at - 1].id > id; at--)
        h->out[at] = h->out[at - 1];
    return &h->out[at];
}

static void issue(hv_t *h, job_t *j, uint32_t i, int64_t now, uint32_t *out_count) {
    slot_t *s = &h->slot[i];
    if (s->owed != OWED_PLACE) {
        j->issued++;
        h->disk[j->disk].outstanding++;
    }
    if (j->limited && !enter(h, j, i, now)) return;
    uint64_t sequence = j->issued - j->waiting - 1; /* of those that have left the guest */
    uint64_t id = (uint64_t)i << SLOT_SHIFT | sequence;
    submission_t *io = place_for(h, (*out_count)++, now, id);
    io->time = now;
    io->id = id;
    io->nexus = j->nexus;
    io->vm = j->vm;
    io->attempt = 0;
    if (j->trace_count) {
        const trace_record_t *record = &h->trace[j->trace_base + sequence];
        __builtin_prefetch(record + 8);
        io->op = record->op;
        io->flags = 0;
        io->length = record->length;
        io->lba = j->first_block + record->lba;
    } else {
        synthesise(h, j, sequence, io);
    }
    s->time = now;
    s->id = id;
    s->length = io->length;
    s->op = io->op;
    s->outstanding = 1;
    s->owed = 0;
    h->state->outstanding++;
    h->state->reactive += !clock_driven(j);
}

/* --- when the next one is ------------------------------------------------------------------- */

static int job_over(const job_t *j, int64_t issue_ns, uint64_t number) {
    return j->stopped || (j->stop_ns > 0 && issue_ns >= j->stop_ns) ||
           (j->io_limit > 0 && number >= j->io_limit) ||
           (j->trace_count > 0 && number >= j->trace_count);
}

static int64_t arrival_after(const hv_t *h, const job_t *j, int64_t arrival_ns) {
    if (j->kind == JOB_TRACE_OPEN) {
        if (j->arrivals >= j->trace_count) return arrival_ns;
        uint64_t recorded = (uint64_t)h->trace[j->trace_base + j->arrivals].time_ns;
        return j->base_ns +
               (int64_t)((unsigned __int128)recorded * j->scale_num / j->scale_den);
    }
    int64_t interval = j->interval_ns;
    if (j->arrival_exponential) {
        uint64_t w[4];
        philox4x64_10(h->state->seed, STREAM_ARRIVAL, j->arrivals - 1, j->uid, 0, 0, w);
        interval = exponential_ns(j->interval_ns, w[0]);
    }
    return arrival_ns + interval;
}

/* A job has come to its end at a time, unless it was stopped before. */
static void finish(hv_t *h, job_t *j, int64_t now) {
    if (!j->stopped && !j->unlisted)
        NOTE(h->state, h->note, .time = now, .kind = NOTE_JOB_FINISHED,
             .subject = (uint32_t)(j - h->job), .detail = j->completed, .more = j->errors);
}

/* A slot of a closed loop has nothing left to issue; the last one ends the job. */
static void retire(hv_t *h, job_t *j, int64_t now) {
    if (++j->retired == j->slot_count) finish(h, j, now);
}

/* One arrival of a clock-driven job: it issues, or waits for a slot. */
static int arrive(hv_t *h, job_t *j, int64_t now, uint32_t *out_count) {
    int64_t arrival_ns = now - j->broker_ns;
    if (job_over(j, arrival_ns, j->arrivals)) {
        j->over = 1;
        if (j->free_count == j->slot_count) finish(h, j, now);
        return 0;
    }
    if (j->held) {
        j->held_arrival = 1;
        h->state->held_count++;
        return 0;
    }
    j->arrivals++;
    if (j->free_count) {
        issue(h, j, h->free[j->slot_base + --j->free_count], now, out_count);
    } else {
        j->backlog++;
        h->state->reactive++;
    }
    j->arrival_ns = arrival_after(h, j, arrival_ns) + j->broker_ns;
    return 1;
}

static int64_t think(const hv_t *h, const job_t *j, uint64_t id, int failed) {
    if (failed) return j->backoff_ns;
    if (!j->think_exponential) return j->think_ns;
    uint64_t w[4];
    philox4x64_10(h->state->seed, STREAM_THINK, id & ((1ull << SLOT_SHIFT) - 1), j->uid, 0, 0, w);
    return exponential_ns(j->think_ns, w[0]);
}

/* An I/O of a disk has failed; the first one after a while is an event. */
static void fail(hv_t *h, job_t *j, disk_t *d, completion_t *c) {
    if (d->errors == 0 || c->time - d->error_ns >= QUIET_NS)
        NOTE(h->state, h->note, .time = c->time, .kind = NOTE_ERRORS_BEGAN, .subject = j->disk,
             .cause = c->cause, .detail = (uint64_t)c->kind << 8 | c->status, .more = c->sense);
    d->error_ns = c->time;
    c->cause = 0; /* which is told; the digest covers what guests hear */
    h->state->errors++;
    d->errors++;
    j->errors++;
}

/* A command that could have waited in the guest has: its place goes on.  Returns when it came. */
static int64_t give_place_back(hv_t *h, const kernel_t *k, const job_t *j, uint32_t i,
                               int64_t now) {
    int64_t came = h->entered[i], waited = h->slot[i].time - came;
    if (waited)
        wide_add(&h->wait[j->disk], h->chunk, &h->state->chunk_used, (uint64_t)waited);
    uint32_t next = leave(h, j->disk, now);
    if (next) cal_push(calendar_of(k), bucket_of(k), h, next - 1);
    return came;
}

/* Returns whether the slot has another issue to wait for; its time is set. */
static int complete(hv_t *h, const kernel_t *k, completion_t *c) {
    uint32_t i = (uint32_t)(c->id >> SLOT_SHIFT);
    if (i >= k->rows[T_SLOT] || !h->slot[i].outstanding || h->slot[i].id != c->id) {
        c->cause = 0;
        return 0;
    }
    slot_t *s = &h->slot[i];
    job_t *j = &h->job[s->job];
    disk_t *d = &h->disk[j->disk];
    int failed = c->kind != KIND_RESPONSE || c->status != STATUS_GOOD;
    s->outstanding = 0;
    h->state->outstanding--;
    h->state->reactive -= !clock_driven(j);
    h->state->ios++;
    h->state->last_completion_ns = c->time;
    d->outstanding--;
    j->completed++;
    j->last_status = (uint32_t)c->kind << 8 | c->status;
    j->last_sense = c->sense;
    if (failed) {
        fail(h, j, d, c);
    } else if (s->op == OP_WRITE) {
        d->writes++;
        d->write_bytes += s->length;
    } else if (s->op == OP_READ) {
        d->reads++;
        d->read_bytes += s->length;
    }
    int64_t came = j->limited ? give_place_back(h, k, j, i, c->time) : s->time;
    wide_add(&h->histogram[j->disk], h->chunk, &h->state->chunk_used,
             (uint64_t)(c->time - (came - j->broker_ns)));
    if (!clock_driven(j)) {
        s->time = c->time + think(h, j, c->id, failed) + j->broker_ns;
        return 1;
    }
    if (j->backlog == 0) {
        h->free[j->slot_base + j->free_count++] = i;
        if (j->over && j->free_count == j->slot_count) finish(h, j, c->time);
        return 0;
    }
    j->backlog--;
    h->state->reactive--;
    s->owed = OWED_ARRIVAL;
    s->time = c->time + j->broker_ns;
    return 1;
}

/* --- VMs that pause ------------------------------------------------------------------------ */

static void hold_slot(hv_t *h, job_t *j, uint32_t i) {
    h->slot[i].next = j->held_slots;
    j->held_slots = i + 1;
    h->state->held_count++;
}

/* Lets a job go on: what waited happens now, and a trace goes on where it stood. */
static void let_go(hv_t *h, const kernel_t *k, job_t *j, int64_t now) {
    while (j->held_slots) {
        uint32_t i = j->held_slots - 1;
        j->held_slots = h->slot[i].next;
        h->slot[i].time = now;
        h->state->held_count--;
        cal_push(calendar_of(k), bucket_of(k), h, i);
    }
    if (j->held_arrival) {
        j->held_arrival = 0;
        j->base_ns += now - j->arrival_ns;
        j->arrival_ns = now;
        h->state->held_count--;
        cal_push(calendar_of(k), bucket_of(k), h, (uint32_t)(j - h->job) | JOB_NODE);
    }
}

/* Whether events that are held will come back by themselves. */
static inline int resumes(const hv_state_t *s) {
    return s->held_count > 0 && s->change_ns != NEVER_NS;
}

/* --- a window ------------------------------------------------------------------------------ */

static void inbox_append(hv_t *h, const completion_t *from, uint32_t count) {
    hv_state_t *s = h->state;
    s->inbox_count -= s->inbox_taken;
    for (uint32_t n = 0; n < s->inbox_count; n++) h->inbox[n] = h->inbox[n + s->inbox_taken];
    s->inbox_taken = 0;
    for (uint32_t n = 0; n < count; n++) h->inbox[s->inbox_count + n] = from[n];
    s->inbox_count += count;
}

/* How far the hypervisor can promise to submit nothing more: when no completion can make it, to
 * its own next event.  The device below then needs no exchange for each answer on the way. */
static int64_t promise(hv_t *h, const kernel_t *k, int64_t horizon, int64_t end) {
    if (h->state->reactive || !h->state->outstanding) return horizon;
    if (end > h->state->change_ns) end = h->state->change_ns;
    int64_t next = cal_first(calendar_of(k), bucket_of(k), h, end);
    if (next > end) next = end;
    return next > horizon ? next : horizon;
}

/* Runs to the returned horizon and fills `out`; see the head of this file for how far.  Without an
 * `end` the run is until idle: its horizon is where the last event left nothing to wait for. */
static int64_t run(hv_t *h, const kernel_t *k, int64_t horizon, int64_t end, uint32_t *out_count,
                   int *promised) {
    hv_state_t *s = h->state;
    int64_t last = s->until_ns - 1;
    calendar_t *calendar = calendar_of(k);
    cal_bucket_t *bucket = bucket_of(k);
    cal_tune(calendar, bucket, h);
    if (horizon > s->change_ns) horizon = s->change_ns;
    for (;;) {
        int64_t come = s->inbox_taken < s->inbox_count ? h->inbox[s->inbox_taken].time : NEVER_NS;
        uint32_t i = cal_peek(calendar, bucket, h, come < horizon ? come : horizon);
        if (i != CAL_NIL) {
            int64_t now = last = CAL_TIME(h, i);
            uint32_t before = *out_count;
            cal_pop(calendar, bucket, h, i);
            if (i & JOB_NODE) {
                if (arrive(h, &h->job[i & ~JOB_NODE], now, out_count))
                    cal_push(calendar, bucket, h, i);
            } else {
                job_t *j = &h->job[h->slot[i].job];
                if (!h->slot[i].owed && job_over(j, now - j->broker_ns, j->issued))
                    retire(h, j, now);
                else if (j->held)
                    hold_slot(h, j, i);
                else
                    issue(h, j, i, now, out_count);
            }
            if (before == 0 && *out_count && horizon - now > s->lookahead_ns)
                horizon = now + s->lookahead_ns;
        } else if (come < horizon) {
            completion_t *c = &h->inbox[s->inbox_taken++];
            last = c->time;
            if (s->inbox_taken + 2 < s->inbox_count)
                __builtin_prefetch(&h->slot[h->inbox[s->inbox_taken + 2].id >> SLOT_SHIFT]);
            if (complete(h, k, c))
                cal_push(calendar, bucket, h, (uint32_t)(c->id >> SLOT_SHIFT));
        } else {
            break;
        }
    }
    if (end == NO_END && calendar->count == 0 && !resumes(s)) {
        if (s->outstanding == 0) horizon = last + 1;
    } else {
        int64_t known = horizon;
        horizon = promise(h, k, horizon, end);
        *promised = horizon > known;
    }
    s->until_ns = horizon;
    return horizon;
}

/* --- Python -------------------------------------------------------------------------------- */

static PyObject *py_run(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 4)
        return PyErr_Format(PyExc_TypeError, "run(limit_ns, completions, count, end_ns)");
    kernel_t *k = (kernel_t *)self;
    hv_t h = hv_of(k);
    int64_t limit = arg_i64(args[0]), count = arg_i64(args[2]), end = arg_i64(args[3]);
    Py_buffer from;
    if (PyErr_Occurred() || arg_records(args[1], &from, sizeof(completion_t), count) < 0)
        return NULL;
    int64_t kept = (int64_t)h.state->inbox_count - h.state->inbox_taken;
    if (kept + count > k->rows[T_INBOX]) {
        PyBuffer_Release(&from);
        return PyErr_Format(PyExc_ValueError, "more completions than slots");
    }
    int64_t chunks = (kept + count) << (h.state->limited != 0); /* each may take a new one */
    if (h.state->chunk_used + chunks > k->rows[T_CHUNK]) {
        PyBuffer_Release(&from);
        Py_RETURN_NONE;
    }
    uint32_t out_count = 0;
    int promised = 0;
    Py_BEGIN_ALLOW_THREADS
    inbox_append(&h, from.buf, (uint32_t)count);
    limit = run(&h, k, limit, end, &out_count, &promised);
    sha256_update(k->table[T_DIGEST], h.inbox, h.state->inbox_taken * sizeof *h.inbox);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&from);
    return Py_BuildValue("ILIi", out_count, (long long)limit, h.state->note_count, promised);
}

/* SHA-256 over every completion that guests have seen. */
static PyObject *py_digest(PyObject *self, PyObject *unused) {
    uint8_t digest[32];
    (void)unused;
    sha256_final(((kernel_t *)self)->table[T_DIGEST], digest);
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}

/* Starts a job whose rows are filled in: its slots or its first arrival enter the calendar. */
static PyObject *py_start_job(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    hv_t h = hv_of(k);
    int64_t index = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    job_t *j = &h.job[index];
    for (uint32_t n = 0; n < j->slot_count; n++) {
        uint32_t i = j->slot_base + n;
        h.slot[i].job = (uint32_t)index;
        h.slot[i].time = j->base_ns + j->broker_ns;
        h.free[i] = j->slot_base + j->slot_count - 1 - n; /* the lowest on top */
        if (!clock_driven(j)) cal_push(calendar_of(k), bucket_of(k), &h, i);
    }
    if (clock_driven(j)) {
        j->free_count = j->slot_count;
        j->arrival_ns = arrival_after(&h, j, j->base_ns) + j->broker_ns;
        if (j->kind == JOB_RATE) j->arrival_ns = j->base_ns + j->broker_ns;
        cal_push(calendar_of(k), bucket_of(k), &h, (uint32_t)index | JOB_NODE);
    }
    Py_RETURN_NONE;
}

static PyObject *py_start(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    int64_t now = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    *calendar_of(k) = (calendar_t){.floor_ns = now, .mark_ns = now, .mask = CAL_BUCKETS_MIN - 1,
                                   .shift = 14, .buckets_max = k->rows[T_BUCKET]};
    cal_clear(calendar_of(k), bucket_of(k));
    Py_RETURN_NONE;
}

/* After tables have grown: the calendar may use the buckets that grew with them. */
static PyObject *py_grow(PyObject *self, PyObject *unused) {
    kernel_t *k = (kernel_t *)self;
    (void)unused;
    calendar_of(k)->buckets_max = k->rows[T_BUCKET];
    Py_RETURN_NONE;
}

/* Pauses a job, or lets it go on from now. */
static PyObject *py_set_held(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "set_held(job, held, now_ns)");
    kernel_t *k = (kernel_t *)self;
    hv_t h = hv_of(k);
    int64_t index = arg_i64(args[0]), held = arg_i64(args[1]), now = arg_i64(args[2]);
    if (PyErr_Occurred()) return NULL;
    if (index < 0 || index >= k->rows[T_JOB]) return PyErr_Format(PyExc_ValueError, "no such job");
    h.job[index].held = held != 0;
    if (!held) let_go(&h, k, &h.job[index], now);
    Py_RETURN_NONE;
}

/* Events that wait plus I/Os outstanding: 0 when nothing will happen any more. */
static PyObject *py_pending(PyObject *self, PyObject *unused) {
    kernel_t *k = (kernel_t *)self;
    (void)unused;
    const hv_state_t *s = hv_of(k).state;
    uint64_t held = resumes(s) ? s->held_count : 0;
    return PyLong_FromUnsignedLongLong(calendar_of(k)->count + s->outstanding + held);
}

static PyMethodDef METHODS[] = {
    {"run", (PyCFunction)(void (*)(void))py_run, METH_FASTCALL,
     "run(limit_ns, completions, count, end_ns) -> (submissions, until_ns, notes, promised)"},
    {"start_job", py_start_job, METH_O, "start_job(index)"},
    {"start", py_start, METH_O, "start(now_ns)"},
    {"grow", py_grow, METH_NOARGS, "grow()"},
    {"set_held", (PyCFunction)(void (*)(void))py_set_held, METH_FASTCALL,
     "set_held(job, held, now_ns)"},
    {"digest", py_digest, METH_NOARGS, "digest() -> SHA-256 over all completions taken"},
    {"pending", py_pending, METH_NOARGS, "pending() -> events waiting plus I/Os outstanding"},
    {NULL, NULL, 0, NULL}};

#define STATE_ROW(type, field) ROW("state", hv_state_t, field)
#define JOB_ROW(type, field) ROW("job", job_t, field)
#define SLOT_ROW(type, field) ROW("slot", slot_t, field)
#define DISK_ROW(type, field) ROW("disk", disk_t, field)
#define QUEUE_ROW(type, field) ROW("queue", guest_queue_t, field)
#define ADAPTER_ROW(type, field) ROW("adapter", adapter_t, field)
#define SIZE_ROW(type, field) ROW("size", size_row_t, field)
static const field_decl_t FIELDS[] = {STATE_FIELDS(STATE_ROW) JOB_FIELDS(JOB_ROW)
                                          SLOT_FIELDS(SLOT_ROW) DISK_FIELDS(DISK_ROW)
                                              SIZE_FIELDS(SIZE_ROW) QUEUE_FIELDS(QUEUE_ROW)
                                                  ADAPTER_FIELDS(ADAPTER_ROW)
                                                      NOTE_FIELDS(NOTE_ROW)};

KERNEL_MODULE(hypervisor, "The hypervisor's event loop.", TABLES, T_COUNT, METHODS, FIELDS)
