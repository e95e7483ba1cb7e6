/* Multipath, command by command: device queues, path selection, retries and lost paths.
 *
 * A window has two halves.  `run` takes submissions and the completions in hand up to `until`, in
 * order, and fills a batch of dispatches for each array.  After the arrays have answered, `accept`
 * takes their completions in hand and `finish` gives the submitter those that reach it before
 * until + L: a completion passes through a host at no cost, so it can be handed on before its
 * time comes here.
 */
#include "smokestack/records.h"
#include "tables.h"

#include "selectors/all.h"
#include "smokestack/histogram.h"

#define CAL_CTX slot_t *
#define CAL_TIME(ctx, i) ((ctx)[i].time)
#define CAL_NEXT(ctx, i) ((ctx)[i].next)
#define CAL_LESS(ctx, i, j)                                                                    \
    ((ctx)[i].time != (ctx)[j].time ? (ctx)[i].time < (ctx)[j].time : (ctx)[i].id < (ctx)[j].id)
#include "smokestack/calendar.h"

enum { T_STATE, T_DEVICE, T_PATH, T_ORDER, T_SLOT, T_HAND, T_BORN, T_OUT, T_DISPATCH, T_COUNTS,
       T_KERNEL_HISTOGRAM, T_PATH_HISTOGRAM, T_CALENDAR, T_BUCKET, T_NOTE, T_COUNT };
static const table_decl_t TABLES[T_COUNT] = {
    {"state", sizeof(mp_state_t)}, {"device", sizeof(device_t)},
    {"path", sizeof(path_t)}, {"order", sizeof(order_t)},
    {"slot", sizeof(slot_t)}, {"hand", sizeof(completion_t)},
    {"born", sizeof(completion_t)}, {"out", sizeof(completion_t)},
    {"dispatch", sizeof(submission_t)}, {"counts", sizeof(uint32_t)},
    {"kernel_histogram", sizeof(hist_t)}, {"path_histogram", sizeof(hist_t)},
    {"calendar", sizeof(calendar_t)}, {"bucket", sizeof(cal_bucket_t)},
    {"note", sizeof(note_t)}};

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
    hist_t *kernel_histogram;
    hist_t *path_histogram;
    calendar_t *calendar;
    cal_bucket_t *bucket;
    note_t *note; /* two rows for each completion in hand */
    uint32_t slot_rows;
    int64_t dispatched_ns; /* of this window's first dispatch */
} mp_t;

static inline mp_t mp_of(const kernel_t *k) {
    return (mp_t){k->table[T_STATE],    k->table[T_DEVICE],
                  k->table[T_PATH],     k->table[T_ORDER],
                  k->table[T_SLOT],     k->table[T_HAND],
                  k->table[T_BORN],     k->table[T_OUT],
                  k->table[T_DISPATCH], k->table[T_COUNTS],
                  k->table[T_KERNEL_HISTOGRAM], k->table[T_PATH_HISTOGRAM],
                  k->table[T_CALENDAR], k->table[T_BUCKET],
                  k->table[T_NOTE],     k->rows[T_SLOT],
                  NEVER_NS};
}

static inline int refused(const completion_t *c) {
    return c->kind == KIND_RESPONSE &&
           (c->status == STATUS_TASK_SET_FULL || c->status == STATUS_BUSY);
}

/* --- a device's queue ---------------------------------------------------------------------- */

static inline void queue_append(mp_t *m, device_t *d, uint32_t i) {
    m->slot[i].next = NIL;
    m->slot[i].phase = PHASE_QUEUED;
    if (d->queue_tail == NIL) d->queue_head = i;
    else m->slot[d->queue_tail].next = i;
    d->queue_tail = i;
    d->queued++;
}

static inline void queue_rejoin(mp_t *m, device_t *d, uint32_t i) {
    m->slot[i].next = d->queue_head;
    m->slot[i].phase = PHASE_QUEUED;
    if (d->queue_head == NIL) d->queue_tail = i;
    d->queue_head = i;
    d->queued++;
}

static inline uint32_t queue_take(mp_t *m, device_t *d) {
    uint32_t i = d->queue_head;
    d->queue_head = m->slot[i].next;
    if (d->queue_head == NIL) d->queue_tail = NIL;
    d->queued--;
    return i;
}

/* --- towards the arrays -------------------------------------------------------------------- */

/* Completes a command that no array will answer; it reaches the submitter one lookahead later. */
static void bear(mp_t *m, uint64_t id, uint16_t attempt, uint32_t device, int64_t cause_ns) {
    completion_t record = {.time = cause_ns + m->state->lookahead_ns, .id = id, .nexus = device,
                           .attempt = attempt, .status = HOST_NO_CONNECT, .kind = KIND_HOST};
    if (device < m->state->device_count) record.cause = note_cause(m->device[device].cut_off);
    uint32_t at = m->state->born_count++;
    for (; at > 0 && m->born[at - 1].time == record.time && m->born[at - 1].id > id; at--)
        m->born[at] = m->born[at - 1];
    m->born[at] = record;
}

static void dispatch(mp_t *m, uint32_t i, uint32_t p, int64_t now) {
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[p];
    uint64_t id = s->id, lba = s->lba;
    uint32_t length = s->length, itl = path->itl, vm = s->vm;
    submission_t *batch = &m->dispatch[(size_t)path->array * m->state->dispatch_rows];
    uint32_t at = m->counts[path->array]++;
    for (; at > 0 && batch[at - 1].time == now && batch[at - 1].id > id; at--)
        batch[at] = batch[at - 1];
    batch[at] = (submission_t){now, id, lba, length, itl, vm, s->attempt, s->op, 0};
    if (m->dispatched_ns == NEVER_NS) m->dispatched_ns = now;
    s->path = p;
    s->phase = PHASE_IN_FLIGHT;
    s->dispatch_ns = now;
    path->in_flight++;
    path->in_flight_bytes += s->length;
    path->dispatched++;
}

/* Sends what the device's depth allows; a command without a path is failed at once. */
static void pump(mp_t *m, uint32_t device, int64_t now) {
    device_t *d = &m->device[device];
    while (d->queued && d->active < d->depth) {
        uint32_t i = queue_take(m, d);
        choice_t choice = {d, m->path, &m->order[d->order_base], now};
        uint32_t path = SELECTORS[d->selector](&choice);
        if (path == NIL) {
            d->no_connect++;
            d->errors++;
            bear(m, m->slot[i].id, m->slot[i].attempt, device, now);
            m->slot[i].phase = PHASE_FREE;
        } else {
            d->active++;
            dispatch(m, i, path, now);
        }
    }
}

/* At a border, before anything else then: what a change lets devices send. */
static void pump_stirred(mp_t *m) {
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        if (!m->device[device].stirred) continue;
        m->device[device].stirred = 0;
        pump(m, device, m->state->until_ns);
    }
    m->state->stirred = 0;
}

static void submit(mp_t *m, const submission_t *in) {
    uint32_t i = (uint32_t)(in->id >> SLOT_SHIFT);
    if (in->nexus >= m->state->device_count) {
        bear(m, in->id, 0, in->nexus, in->time);
        return;
    }
    device_t *d = &m->device[in->nexus];
    m->slot[i] = (slot_t){.id = in->id, .lba = in->lba, .submit_ns = in->time,
                          .length = in->length, .device = in->nexus, .vm = in->vm, .op = in->op};
    queue_append(m, d, i);
    pump(m, in->nexus, in->time);
}

/* --- from the arrays ----------------------------------------------------------------------- */

static void settle(mp_t *m, const completion_t *c, slot_t *s, path_t *path, device_t *d) {
    uint64_t device_ns = (uint64_t)(c->time - s->dispatch_ns);
    hist_add(&m->path_histogram[s->path], device_ns);
    hist_add(&m->kernel_histogram[s->device], (uint64_t)(s->dispatch_ns - s->submit_ns));
    path->ios++;
    path->bytes += s->length;
    if (c->status != STATUS_GOOD) {
        path->errors++;
        d->errors++;
    } else if (s->op == OP_WRITE) {
        d->writes++;
        d->write_bytes += s->length;
    } else {
        d->reads++;
        d->read_bytes += s->length;
    }
    s->phase = PHASE_FREE;
}

/* A refused command frees its place in the device and rejoins the head of the queue later. */
static void retry_later(mp_t *m, const completion_t *c, uint32_t i, path_t *path, device_t *d) {
    slot_t *s = &m->slot[i];
    if (c->status == STATUS_BUSY) d->busy++;
    else d->task_set_full++;
    path->refused++;
    s->attempt++;
    s->phase = PHASE_RETRYING;
    s->time = c->time + m->state->retry_delay_ns;
    cal_push(m->calendar, m->bucket, m->slot, i);
}

static void complete(mp_t *m, const completion_t *c) {
    uint32_t i = (uint32_t)(c->id >> SLOT_SHIFT);
    slot_t *s = &m->slot[i];
    path_t *path = &m->path[s->path];
    device_t *d = &m->device[s->device];
    d->active--;
    path->in_flight--;
    path->in_flight_bytes -= s->length;
    if (refused(c)) retry_later(m, c, i, path, d);
    else settle(m, c, s, path, d);
    pump(m, s->device, c->time);
}

static void retry(mp_t *m, uint32_t i) {
    slot_t *s = &m->slot[i];
    device_t *d = &m->device[s->device];
    d->retries++;
    queue_rejoin(m, d, i);
    pump(m, s->device, s->time);
}

/* --- lost paths ---------------------------------------------------------------------------- */

/* Every unanswered command on the path goes back to the head of its queue, in order of id. */
static void requeue_path(mp_t *m, uint32_t p) {
    path_t *path = &m->path[p];
    device_t *d = &m->device[path->device];
    uint32_t list = NIL;
    for (uint32_t i = 0; i < m->slot_rows; i++) {
        slot_t *s = &m->slot[i];
        if (s->phase != PHASE_IN_FLIGHT || s->path != p) continue;
        s->attempt++;
        d->active--;
        path->in_flight--;
        path->in_flight_bytes -= s->length;
        path->errors++;
        uint32_t *at = &list; /* descending, so that rejoining one by one leaves it ascending */
        while (*at != NIL && m->slot[*at].id > s->id) at = &m->slot[*at].next;
        s->next = *at;
        *at = i;
    }
    while (list != NIL) {
        uint32_t next = m->slot[list].next;
        d->retries++;
        queue_rejoin(m, d, list);
        list = next;
    }
}

static int reachable(const mp_t *m, const device_t *d) {
    const order_t *order = &m->order[d->order_base];
    for (uint32_t i = 0; i < d->path_count; i++)
        if (m->path[order[i].sorted].state == PATH_ACTIVE) return 1;
    return 0;
}

static void path_lost(mp_t *m, uint32_t p, note_t note) {
    path_t *path = &m->path[p];
    device_t *d = &m->device[path->device];
    if (path->state == PATH_DEAD) return;
    if (path->state == PATH_ACTIVE) path->failovers++;
    path->state = PATH_DEAD;
    note.subject = p;
    uint64_t number = note_take(m->note, &m->state->note_count, &m->state->event_count, note);
    if (!d->cut_off && d->path_count && !reachable(m, d))
        d->cut_off = NOTE(m->state, m->note, .time = note.time, .kind = NOTE_CUT_OFF,
                          .subject = path->device, .cause = number);
}

static void path_found(mp_t *m, uint32_t p, const completion_t *c) {
    path_t *path = &m->path[p];
    device_t *d = &m->device[path->device];
    if (path->state != PATH_DEAD) return;
    path->state = path->disabled ? PATH_DISABLED : PATH_ACTIVE;
    uint64_t number = NOTE(m->state, m->note, .time = c->time, .kind = NOTE_PATH_UP, .subject = p,
                           .cause = c->array_ns);
    if (d->cut_off && reachable(m, d)) {
        d->cut_off = 0;
        NOTE(m->state, m->note, .time = c->time, .kind = NOTE_RESTORED, .subject = path->device,
             .cause = number);
    }
}

/* When the next event in hand takes a path down: what answers on it after that comes too late. */
static int64_t next_down(const mp_t *m, uint32_t p, uint32_t from) {
    for (uint32_t n = from; n < m->state->hand_count; n++) {
        const completion_t *c = &m->hand[n];
        if (c->kind == KIND_EVENT && c->nexus == p && c->sense == EVENT_PATH_DOWN) return c->time;
    }
    return 0;
}

static void path_event(mp_t *m, const completion_t *c, uint32_t rest) {
    uint32_t p = c->nexus; /* accept has put the path's row in the ITL's place */
    if (p == NIL || m->path[p].lost) return; /* of an ITL that no rescan has found, or too late */
    if (c->sense == EVENT_PATH_DOWN) {
        m->path[p].down_ns = next_down(m, p, rest);
        path_lost(m, p, (note_t){.time = c->time, .kind = NOTE_PATH_DOWN, .cause = c->array_ns});
        requeue_path(m, p);
    } else {
        path_found(m, p, c);
    }
    pump(m, m->path[p].device, c->time);
}

/* An array is gone at a border: its paths die together, then what hung on them is failed. */
static void lose_array(mp_t *m, uint32_t array, int64_t now, uint64_t cause) {
    for (uint32_t device = 0; device < m->state->device_count; device++) {
        device_t *d = &m->device[device];
        const order_t *order = &m->order[d->order_base];
        for (uint32_t i = 0; i < d->path_count; i++) {
            if (m->path[order[i].sorted].array != array) continue;
            path_lost(m, order[i].sorted,
                      (note_t){.time = now, .kind = NOTE_PATH_LOST, .cause = cause});
            m->path[order[i].sorted].lost = 1;
        }
        for (uint32_t i = 0; i < d->path_count; i++)
            if (m->path[order[i].sorted].array == array) requeue_path(m, order[i].sorted);
        pump(m, device, now);
    }
}

/* --- a window ------------------------------------------------------------------------------ */

/* Takes what the submitter has handed over, up to `until` or as far as is known: until the arrays'
 * next answer, or one lookahead after a dispatch.  Who submits at times of its own may promise more
 * than that; then the rest follows in further windows, below here alone. */
static void run(mp_t *m, int64_t until, const submission_t *batch, uint32_t count) {
    mp_state_t *s = m->state;
    uint32_t in = s->batch_taken, taken = 0;
    int64_t horizon = until < s->arrays_next_ns ? until : s->arrays_next_ns;
    if (horizon > s->change_ns) horizon = s->change_ns;
    if (horizon < s->until_ns) horizon = s->until_ns;
    for (uint32_t a = 0; a < s->array_count; a++) m->counts[a] = 0;
    m->dispatched_ns = NEVER_NS;
    s->target_ns = until;
    if (s->stirred == 2 && horizon > s->until_ns) pump_stirred(m);
    cal_tune(m->calendar, m->bucket, m->slot);
    for (;;) {
        if (m->dispatched_ns < horizon - s->lookahead_ns)
            horizon = m->dispatched_ns + s->lookahead_ns;
        int64_t come = taken < s->hand_count ? m->hand[taken].time : NEVER_NS;
        int64_t go = in < count ? batch[in].time : NEVER_NS;
        int64_t limit = come <= go ? come : go + 1; /* completions, then retries, then new */
        uint32_t i = cal_peek(m->calendar, m->bucket, m->slot, limit < horizon ? limit : horizon);
        if (i != CAL_NIL) {
            cal_pop(m->calendar, m->bucket, m->slot, i);
            retry(m, i);
        } else if (come <= go && come < horizon) {
            const completion_t *c = &m->hand[taken++];
            if (taken < s->hand_count)
                __builtin_prefetch(&m->slot[m->hand[taken].id >> SLOT_SHIFT]);
            if (c->kind == KIND_EVENT) path_event(m, c, taken);
            else complete(m, c);
        } else if (go < horizon) {
            if (in + 4 < count) __builtin_prefetch(&m->slot[batch[in + 4].id >> SLOT_SHIFT], 1);
            submit(m, &batch[in++]);
        } else {
            break;
        }
    }
    s->batch_taken = in;
    s->hand_count -= taken;
    for (uint32_t n = 0; n < s->hand_count; n++) m->hand[n] = m->hand[n + taken];
    s->hand_fresh = s->hand_count;
    s->until_ns = horizon;
}

/* The order in which records reach a submitter: at one instant events before responses. */
static inline int before(const completion_t *a, const completion_t *b) {
    if (a->time != b->time) return a->time < b->time;
    if ((a->kind == KIND_EVENT) != (b->kind == KIND_EVENT)) return a->kind == KIND_EVENT;
    return a->id != b->id ? a->id < b->id : a->attempt < b->attempt;
}

/* Whether an answer is to the attempt that is out; answers to older ones come too late. */
static inline int awaited(const mp_t *m, const completion_t *c) {
    uint32_t i = (uint32_t)(c->id >> SLOT_SHIFT);
    if (c->kind == KIND_EVENT) return 1;
    if (i >= m->slot_rows || m->slot[i].id != c->id || m->slot[i].attempt != c->attempt ||
        m->slot[i].phase != PHASE_IN_FLIGHT)
        return 0;
    int64_t down_ns = m->path[m->slot[i].path].down_ns;
    return down_ns == 0 || c->time < down_ns;
}

/* Merges one array's completions into those in hand, from the back, in place. */
static void accept(
    mp_t *m, const completion_t *from, uint32_t count, const uint32_t *path_of, uint32_t itls) {
    mp_state_t *s = m->state;
    uint32_t kept = 0;
    for (uint32_t n = 0; n < count; n++) {
        const completion_t *c = &from[n];
        uint32_t p = c->kind == KIND_EVENT && c->nexus < itls ? path_of[c->nexus] : NIL;
        if (p != NIL && c->sense == EVENT_PATH_DOWN && m->path[p].down_ns == 0)
            m->path[p].down_ns = c->time;
        kept += (uint32_t)awaited(m, c);
    }
    int64_t old = (int64_t)s->hand_count - 1, fresh = s->hand_fresh;
    int64_t to = old + kept;
    s->hand_count += kept;
    for (int64_t n = (int64_t)count - 1; n >= 0; n--) {
        const completion_t *c = &from[n];
        if (!awaited(m, c)) continue;
        while (old >= fresh && before(c, &m->hand[old])) m->hand[to--] = m->hand[old--];
        completion_t *at = &m->hand[to--];
        *at = *c;
        if (c->kind == KIND_EVENT) at->nexus = c->nexus < itls ? path_of[c->nexus] : NIL;
        else {
            slot_t *slot = &m->slot[c->id >> SLOT_SHIFT];
            slot->phase = PHASE_ANSWERED;
            slot->time = refused(c) ? NEVER_NS : c->time; /* from when its owner may use it again */
        }
    }
}

/* When a completion in hand can make a device dispatch, at the earliest. */
static inline int64_t stirs(const mp_t *m, const completion_t *c) {
    if (c->kind == KIND_EVENT) return c->time;
    const device_t *d = &m->device[m->slot[c->id >> SLOT_SHIFT].device];
    if (d->queued) return c->time;
    return refused(c) ? c->time + m->state->retry_delay_ns : NEVER_NS;
}

/* Gives the submitter what reaches it before until + L, and says when anything else can. */
static uint32_t finish(mp_t *m, int64_t *next) {
    mp_state_t *s = m->state;
    int64_t stir = cal_first(m->calendar, m->bucket, m->slot, NEVER_NS);
    uint32_t ready = s->out_count, born = 0;
    int64_t end = s->until_ns + s->lookahead_ns;
    s->arrays_next_ns = *next;
    if (s->stirred == 1 && s->until_ns == s->target_ns) s->stirred = 2;
    if (s->stirred == 2 && s->until_ns < stir) stir = s->until_ns;
    for (uint32_t n = 0; n < s->hand_count; n++) {
        const completion_t *c = &m->hand[n];
        int64_t at = stirs(m, c);
        if (at < stir) stir = at;
        if (n < s->hand_fresh || c->kind == KIND_EVENT || refused(c)) continue;
        while (born < s->born_count && before(&m->born[born], c)) m->out[ready++] = m->born[born++];
        m->out[ready] = *c;
        m->out[ready++].nexus = m->slot[c->id >> SLOT_SHIFT].device;
    }
    while (born < s->born_count && m->born[born].time < end) m->out[ready++] = m->born[born++];
    s->born_count -= born;
    for (uint32_t n = 0; n < s->born_count; n++) m->born[n] = m->born[n + born];
    if (s->born_count && m->born[0].time < *next) *next = m->born[0].time;
    if (stir != NEVER_NS && stir + s->lookahead_ns < *next) *next = stir + s->lookahead_ns;
    if (*next < end) *next = end;
    s->out_count = ready;
    return ready;
}

/* --- Python -------------------------------------------------------------------------------- */

/* Submissions must name a slot within the table; the caller grows it to the answer and retries. */
static uint32_t slots_needed(const submission_t *batch, uint32_t count) {
    uint64_t most = 0;
    for (uint32_t n = 0; n < count; n++)
        if (batch[n].id >> SLOT_SHIFT > most) most = batch[n].id >> SLOT_SHIFT;
    return (uint32_t)most + 1;
}

/* Whether each submission has a slot that nothing else uses: one that is free by then, and once. */
static int slots_free(mp_t *m, const submission_t *batch, uint32_t count) {
    uint32_t n = 0;
    for (; n < count; n++) {
        slot_t *s = &m->slot[batch[n].id >> SLOT_SHIFT];
        int free_by_then = s->phase == PHASE_ANSWERED && s->time <= batch[n].time;
        if (s->phase != PHASE_FREE && !free_by_then) break;
        s->phase |= PHASE_MARK;
    }
    for (uint32_t i = 0; i < n; i++)
        m->slot[batch[i].id >> SLOT_SHIFT].phase &= (uint8_t)~PHASE_MARK;
    return n == count;
}

static PyObject *py_run(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 4) return PyErr_Format(PyExc_TypeError, "run(until_ns, batch, count, begins)");
    mp_t m = mp_of((kernel_t *)self);
    int64_t until = arg_i64(args[0]), count = arg_i64(args[2]), begins = arg_i64(args[3]);
    Py_buffer batch;
    if (PyErr_Occurred() || arg_records(args[1], &batch, sizeof(submission_t), count) < 0)
        return NULL;
    uint32_t need;
    int good;
    Py_BEGIN_ALLOW_THREADS
    if (begins) m.state->batch_taken = m.state->out_count = 0;
    need = begins && count ? slots_needed(batch.buf, (uint32_t)count) : 0;
    good = need <= m.slot_rows && (!begins || slots_free(&m, batch.buf, (uint32_t)count));
    if (good) run(&m, until, batch.buf, (uint32_t)count);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&batch);
    if (need > m.slot_rows) return PyLong_FromUnsignedLong(need);
    if (!good) return PyErr_Format(PyExc_ValueError, "a submission's slot is in use");
    PyObject *answer = PyTuple_New(1 + (Py_ssize_t)m.state->array_count);
    for (uint32_t a = 0; answer && a <= m.state->array_count; a++) {
        PyObject *item = a ? PyLong_FromUnsignedLong(m.counts[a - 1])
                           : PyLong_FromLongLong(m.state->until_ns);
        if (!item || PyTuple_SetItem(answer, a, item) < 0) Py_CLEAR(answer);
    }
    return answer;
}

static PyObject *py_accept(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "accept(completions, count, path_of)");
    kernel_t *k = (kernel_t *)self;
    mp_t m = mp_of(k);
    int64_t count = arg_i64(args[1]);
    Py_buffer from, path_of;
    if (PyErr_Occurred() || arg_records(args[0], &from, sizeof(completion_t), count) < 0)
        return NULL;
    if (arg_records(args[2], &path_of, sizeof(uint32_t), 0) < 0) {
        PyBuffer_Release(&from);
        return NULL;
    }
    int fits = m.state->hand_count + count <= k->rows[T_HAND];
    uint32_t itls = (uint32_t)(path_of.len / (Py_ssize_t)sizeof(uint32_t));
    Py_BEGIN_ALLOW_THREADS
    if (fits) accept(&m, from.buf, (uint32_t)count, path_of.buf, itls);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&path_of);
    PyBuffer_Release(&from);
    return PyBool_FromLong(fits);
}

static PyObject *py_finish(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    mp_t m = mp_of(k);
    int64_t next = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    uint32_t ready;
    Py_BEGIN_ALLOW_THREADS
    ready = finish(&m, &next);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("ILI", ready, (long long)next, m.state->note_count);
}

static PyObject *py_lose_array(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "lose_array(array, now_ns, cause)");
    mp_t m = mp_of((kernel_t *)self);
    int64_t array = arg_i64(args[0]), now = arg_i64(args[1]), cause = arg_i64(args[2]);
    if (PyErr_Occurred()) return NULL;
    lose_array(&m, (uint32_t)array, now, (uint64_t)cause);
    Py_RETURN_NONE;
}

static PyObject *py_start(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    mp_t m = mp_of(k);
    int64_t now = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    *m.calendar = (calendar_t){.floor_ns = now, .mark_ns = now, .mask = CAL_BUCKETS_MIN - 1,
                               .shift = 14, .buckets_max = k->rows[T_BUCKET]};
    cal_clear(m.calendar, m.bucket);
    Py_RETURN_NONE;
}

/* After the slot table has grown: the calendar may use the buckets that grew with it. */
static PyObject *py_grow(PyObject *self, PyObject *unused) {
    kernel_t *k = (kernel_t *)self;
    (void)unused;
    ((calendar_t *)k->table[T_CALENDAR])->buckets_max = k->rows[T_BUCKET];
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"run", (PyCFunction)(void (*)(void))py_run, METH_FASTCALL,
     "run(until_ns, batch, count, begins) -> (reached_ns, dispatches by array ...), or the slot "
     "rows that it needs first"},
    {"accept", (PyCFunction)(void (*)(void))py_accept, METH_FASTCALL,
     "accept(completions, count, path_of) -> False when the hand is too small"},
    {"finish", py_finish, METH_O, "finish(least_next_ns) -> (ready, next_ns, notes)"},
    {"lose_array", (PyCFunction)(void (*)(void))py_lose_array, METH_FASTCALL,
     "lose_array(array, now_ns, cause)"},
    {"start", py_start, METH_O, "start(now_ns)"},
    {"grow", py_grow, METH_NOARGS, "grow()"},
    {NULL, NULL, 0, NULL}};

#define STATE_ROW(type, field) ROW("state", mp_state_t, field)
#define DEVICE_ROW(type, field) ROW("device", device_t, field)
#define PATH_ROW(type, field) ROW("path", path_t, field)
#define ORDER_ROW(type, field) ROW("order", order_t, field)
#define SLOT_ROW(type, field) ROW("slot", slot_t, field)
static const field_decl_t FIELDS[] = {STATE_FIELDS(STATE_ROW) DEVICE_FIELDS(DEVICE_ROW)
                                          PATH_FIELDS(PATH_ROW) ORDER_FIELDS(ORDER_ROW)
                                              SLOT_FIELDS(SLOT_ROW) NOTE_FIELDS(NOTE_ROW)};

KERNEL_MODULE(multipath, "Multipath's event loop.", TABLES, T_COUNT, METHODS, FIELDS)
