/* Multipath, command by command: device queues, path selection, retries and lost paths.
 *
 * A window has two halves.  `run` takes submissions and the completions in hand up to `until`, in
 * order, and fills a batch of dispatches for each array.  After the arrays have answered, `accept`
 * takes their completions in hand and `finish` gives the submitter those that reach it before
 * until + L: a completion passes through a host at no cost, so it can be handed on before its
 * time comes here.
 */
#include "answers.h"
#include "fabric.h"
#include "timers.h"

/* --- a window ------------------------------------------------------------------------------ */

/* Takes what is no command's answer. */
static __attribute__((noinline, cold)) void take_word(mp_t *m, const completion_t *c) {
    if (c->kind == KIND_TASK) {
        task_answered(m, c);
    } else if (c->kind == KIND_CHECK) {
        check_answered(m, c);
    } else {
        path_event(m, c);
        if (m->state->recovering) recovery_lost(m, c);
    }
}

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
        int64_t bound = horizon < s->timer_ns ? horizon : s->timer_ns;
        int64_t come = taken < s->hand_count ? m->hand[taken].time : NEVER_NS;
        int64_t go = in < count ? batch[in].time : NEVER_NS;
        int64_t limit = come <= go ? come : go + 1; /* completions, then retries, then new */
        uint32_t i = cal_peek(m->calendar, m->bucket, m->slot, limit < bound ? limit : bound);
        if (i != CAL_NIL) {
            cal_pop(m->calendar, m->bucket, m->slot, i);
            retry(m, i);
        } else if (come <= go && come < bound) {
            const completion_t *c = &m->hand[taken++];
            if (taken < s->hand_count)
                __builtin_prefetch(&m->slot[m->hand[taken].id >> SLOT_SHIFT]);
            m->taken = taken;
            if (c->kind < KIND_EVENT) complete(m, c);
            else take_word(m, c);
        } else if (go < bound) {
            if (in + 4 < count) __builtin_prefetch(&m->slot[batch[in + 4].id >> SLOT_SHIFT], 1);
            submit(m, &batch[in++]);
        } else if (bound < horizon) {
            run_timers(m, bound);
        } else {
            break;
        }
    }
    s->batch_taken = in;
    s->hand_count -= taken;
    s->hand_told -= taken;
    for (uint32_t n = 0; n < s->hand_count; n++) m->hand[n] = m->hand[n + taken];
    m->taken = 0;
    s->hand_fresh = s->hand_count;
    s->until_ns = horizon;
}

/* Whether an answer is to the attempt that is out; answers to older ones come too late. */
static inline int awaited(mp_t *m, const completion_t *c) {
    uint32_t i = (uint32_t)(c->id >> SLOT_SHIFT);
    if (c->kind >= KIND_EVENT) return c->kind == KIND_EVENT || task_awaited(m, c);
    if (i >= m->slot_rows) return check_awaited(m, c);
    if (m->slot[i].id != c->id || m->slot[i].attempt != c->attempt ||
        m->slot[i].phase != PHASE_IN_FLIGHT)
        return 0;
    if (m->state->timeouts && c->time >= deadline_of(m, &m->slot[i])) return 0;
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
        if (p != NIL && c->sense == EVENT_PATH_DOWN &&
            (m->path[p].down_ns == 0 || c->time < m->path[p].down_ns))
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
        else if (c->kind == KIND_TASK) {
            task_take(m, c);
            if (!s->fabric_limits) m->path[task_path(m, c)].frames++;
        } else if (c->id >= CHECK_IDS) {
            at->kind = KIND_CHECK;
            if (!s->fabric_limits) m->path[check_path(c->id)].frames++;
        } else {
            slot_t *slot = &m->slot[c->id >> SLOT_SHIFT];
            if (!s->fabric_limits) m->path[slot->path].frames += frames_of(slot, c);
            slot->phase = PHASE_ANSWERED;
            slot->time = retried(c) ? NEVER_NS : c->time; /* from when its owner may use it again */
        }
    }
}

/* When a completion in hand can make a device dispatch, at the earliest. */
static inline int64_t stirs(const mp_t *m, const completion_t *c) {
    if (c->kind >= KIND_EVENT) return c->time;
    const device_t *d = &m->device[m->slot[c->id >> SLOT_SHIFT].device];
    if (d->queued || m->state->held_count) return c->time;
    return retried(c) ? c->time + retry_delay(m, c) : NEVER_NS;
}

/* Gives the submitter what reaches it before until + L, and says when anything else can. */
static uint32_t finish(mp_t *m, int64_t *next) {
    mp_state_t *s = m->state;
    int64_t stir = cal_first(m->calendar, m->bucket, m->slot, NEVER_NS);
    uint32_t ready = s->out_count, born = 0;
    int64_t end = s->until_ns + s->lookahead_ns;
    if (s->fabric_limits) fabric_carry(m, end);
    if (s->timer_ns < stir) stir = s->timer_ns;
    if (s->change_ns < stir) stir = s->change_ns;
    if (s->stirred == 1 && s->until_ns == s->target_ns) s->stirred = 2;
    if (s->stirred == 2 && s->until_ns < stir) stir = s->until_ns;
    uint32_t told = s->hand_told;
    for (uint32_t n = 0; n < s->hand_count; n++) {
        const completion_t *c = &m->hand[n];
        int64_t at = stirs(m, c);
        if (at < stir) stir = at;
        if (n < s->hand_told) continue;
        if (c->time >= end) { /* still on its way across a fabric: this time is known, no later */
            if (c->time < *next) *next = c->time;
            break;
        }
        told = n + 1;
        if (c->kind >= KIND_EVENT || retried(c)) continue;
        while (born < s->born_count && before(&m->born[born], c)) m->out[ready++] = m->born[born++];
        m->out[ready] = *c;
        if (c->status == STATUS_GOOD) m->out[ready].cause = 0; /* a hint, for policies alone */
        m->out[ready++].nexus = m->slot[c->id >> SLOT_SHIFT].device;
    }
    s->hand_told = told;
    s->arrays_next_ns = *next;
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

/* New chunks that an answer can take: its path's, its device's, and two of its detour. */
#define CHUNKS_PER_ANSWER 4

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
    uint32_t need, worlds;
    int fits, good;
    Py_BEGIN_ALLOW_THREADS
    if (begins) m.state->batch_taken = m.state->out_count = 0;
    need = begins && count ? slots_needed(batch.buf, (uint32_t)count) : 0;
    worlds = begins ? m.state->world_count + (uint32_t)count : 0; /* should each be new */
    fits = need <= m.slot_rows && worlds <= m.world_rows;
    good = fits && (!begins || slots_free(&m, batch.buf, (uint32_t)count));
    if (good) run(&m, until, batch.buf, (uint32_t)count);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&batch);
    if (!fits) return PyLong_FromUnsignedLong(need > worlds / 2 ? need : worlds / 2 + 1);
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
    int64_t hand = m.state->hand_count + count;
    int fits = hand <= k->rows[T_HAND] &&
               m.state->wide_chunk_used + CHUNKS_PER_ANSWER * hand <= k->rows[T_WIDE_CHUNK];
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
    forget_strays(&m, (uint32_t)array);
    lose_array(&m, (uint32_t)array, now, (uint64_t)cause);
    Py_RETURN_NONE;
}

/* After a path's state has been set at a border: its policy hears whether it is usable now. */
static PyObject *py_turned(PyObject *self, PyObject *arg) {
    mp_t m = mp_of((kernel_t *)self);
    int64_t path = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    turned(&m, (uint32_t)path, m.state->until_ns);
    Py_RETURN_NONE;
}

/* After paths of a device were given states to be in, or other access states. */
static PyObject *py_regroup(PyObject *self, PyObject *arg) {
    mp_t m = mp_of((kernel_t *)self);
    int64_t device = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    regroup(&m, (uint32_t)device, m.state->until_ns);
    Py_RETURN_NONE;
}

/* After a device has got other paths or another policy. */
static PyObject *py_hand_over(PyObject *self, PyObject *arg) {
    mp_t m = mp_of((kernel_t *)self);
    int64_t device = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    hand_over(&m, (uint32_t)device, m.state->until_ns);
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

static PyObject *py_link_event(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 5)
        return PyErr_Format(PyExc_TypeError, "link_event(time_ns, id, cause, path, code)");
    kernel_t *k = (kernel_t *)self;
    mp_t m = mp_of(k);
    uint64_t id = PyLong_AsUnsignedLongLong(args[1]), cause = PyLong_AsUnsignedLongLong(args[2]);
    int64_t time = arg_i64(args[0]), path = arg_i64(args[3]), code = arg_i64(args[4]);
    if (PyErr_Occurred()) return NULL;
    if (path < 0 || path >= k->rows[T_PATH] || m.state->hand_count >= k->rows[T_HAND])
        return PyErr_Format(PyExc_ValueError, "no such path, or no room for an event");
    completion_t event = {.time = time, .id = id, .array_ns = cause, .nexus = (uint32_t)path,
                          .sense = (uint32_t)code, .kind = KIND_EVENT};
    link_event(&m, &event);
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"run", (PyCFunction)(void (*)(void))py_run, METH_FASTCALL,
     "run(until_ns, batch, count, begins) -> (reached_ns, dispatches by array ...), or the slot "
     "rows that it needs first"},
    {"accept", (PyCFunction)(void (*)(void))py_accept, METH_FASTCALL,
     "accept(completions, count, path_of) -> False when there is no room for all of them"},
    {"finish", py_finish, METH_O, "finish(least_next_ns) -> (ready, next_ns, notes)"},
    {"lose_array", (PyCFunction)(void (*)(void))py_lose_array, METH_FASTCALL,
     "lose_array(array, now_ns, cause)"},
    {"turned", py_turned, METH_O, "turned(path)"},
    {"regroup", py_regroup, METH_O, "regroup(device)"},
    {"hand_over", py_hand_over, METH_O, "hand_over(device)"},
    {"link_event", (PyCFunction)(void (*)(void))py_link_event, METH_FASTCALL,
     "link_event(time_ns, id, cause, path, code)"},
    {"start", py_start, METH_O, "start(now_ns)"},
    {"grow", py_grow, METH_NOARGS, "grow()"},
    {NULL, NULL, 0, NULL}};

#define STATE_ROW(type, field) ROW("state", mp_state_t, field)
#define DEVICE_ROW(type, field) ROW("device", device_t, field)
#define PATH_ROW(type, field) ROW("path", path_t, field)
#define ORDER_ROW(type, field) ROW("order", order_t, field)
#define POLICY_ROW(type, field) ROW("policy", policy_t, field)
#define MEASURE_ROW(type, field) ROW("measure", measure_t, field)
#define SLOT_ROW(type, field) ROW("slot", slot_t, field)
#define ADAPTER_ROW(type, field) ROW("adapter", adapter_t, field)
#define WORLD_ROW(type, field) ROW("world", world_t, field)
#define LINK_ROW(type, field) ROW("link", link_t, field)
#define TAP_ROW(type, field) ROW("tap", tap_t, field)
#define RECOVERY_ROW(type, field) ROW("recovery", recovery_t, field)
#define FAILBACK_ROW(type, field) ROW("failback", failback_t, field)
#define CONTROL_ROW(type, field) ROW("control", control_t, field)
#define CARE_ROW(type, field) ROW("care", care_t, field)
#define HEALTH_ROW(type, field) ROW("health", health_t, field)
static const field_decl_t FIELDS[] = {STATE_FIELDS(STATE_ROW) DEVICE_FIELDS(DEVICE_ROW)
                                          PATH_FIELDS(PATH_ROW) ORDER_FIELDS(ORDER_ROW)
                                              SLOT_FIELDS(SLOT_ROW) NOTE_FIELDS(NOTE_ROW)
                                                  POLICY_FIELDS(POLICY_ROW)
                                                      MEASURE_FIELDS(MEASURE_ROW)
                                                  ADAPTER_FIELDS(ADAPTER_ROW)
                                                      WORLD_FIELDS(WORLD_ROW)
                                                          LINK_FIELDS(LINK_ROW)
                                                              TAP_FIELDS(TAP_ROW)
                                                              CONTROL_FIELDS(CONTROL_ROW)
                                                              CARE_FIELDS(CARE_ROW)
                                                              HEALTH_FIELDS(HEALTH_ROW)
                                                              RECOVERY_FIELDS(RECOVERY_ROW)
                                                              FAILBACK_FIELDS(FAILBACK_ROW)
                                                              FAULT_FIELDS(FAULT_ROW)
                                                              CHAIN_FIELDS(CHAIN_ROW)};

KERNEL_MODULE(multipath, "Multipath's event loop.", TABLES, T_COUNT, METHODS, FIELDS)
