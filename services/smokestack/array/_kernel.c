/* The array, command by command: ports, controllers, cache, media and thin pages.
 *
 * One event loop per window: a command arrives at a port, which takes it or refuses it, queues for
 * a controller core, is served from cache or media, and departs.  A station commits a departure
 * when a command joins it, so each station costs one event.  The array runs one forward latency
 * ahead of its submitter: nothing submitted at `until` or later can arrive before that.
 */
#include "smokestack/submissions.h"
#include "stations.h"

static inline void take(array_t *a, uint32_t i) {
    switch (a->io[i].kind) {
    case DESTAGED: cache_destaged(a, i); break;
    case DEPART: depart(a, i); break;
    case REFUSE: refuse(a, i); break;
    case TX: port_transmit(a, i); break;
    case MEDIA: media_take(a, i); break;
    case CTRL: controller_take(a, i); break;
    case TASK: task_take(a, i); break;
    case IDLE: idle_take(a, i); break;
    default: port_arrive(a, i); break;
    }
}

/* --- a window ---------------------------------------------------------------------------- */

/* Takes a batch in.  Arrivals in order wait in a list; only those out of order, where ports have
 * unequal latencies, pass through the calendar. */
static void intake(array_t *a, const submission_t *batch, uint32_t count) {
    array_state_t *s = a->state;
    for (uint32_t n = 0; n < count; n++) {
        const submission_t *in = &batch[n];
        uint32_t i = s->io_free;
        io_t *io = &a->io[i];
        s->io_free = io->next;
        const itl_t *itl = &a->itl[in->nexus];
        int64_t arrival = in->time + a->port[itl->port].forward_ns;
        int copies = in->op == OP_COPY; /* up to the controller it has with it where it reads */
        *io = (io_t){.time = arrival, .id = in->id, .lba = in->lba, .arrival_ns = arrival,
                     .first_data_ns = copies ? in->vm : 0,
                     .length = in->length, .itl = in->nexus,
                     .sense = page_bound(in) | (uint32_t)in->flags << FLAGS_SHIFT,
                     .attempt = in->attempt, .op = in->op, .kind = ARRIVE};
        s->page_pending += pages_promised(io);
        if (copies) copy_promised(s, io);
        uint64_t page = page_of(&a->pool[a->volume[itl->volume].pool], in->lba * BLOCK_BYTES);
        __builtin_prefetch(
            &a->page[page_home(page_key(itl->volume, page), a->page_mask)]);
        uint32_t last = s->inbox_count ? a->inbox[s->inbox_count - 1] : NIL;
        if (last == NIL || io_before(&a->io[last], io)) a->inbox[s->inbox_count++] = i;
        else cal_push(a->calendar, a->bucket, a->io, i);
    }
    s->io_free_count -= count;
}

/* Processes every event before the horizon, in order. */
static void run(array_t *a, int64_t horizon) {
    array_state_t *s = a->state;
    uint32_t taken = 0;
    cal_tune(a->calendar, a->bucket, a->io);
    for (;;) {
        uint32_t next = taken < s->inbox_count ? a->inbox[taken] : NIL;
        int64_t limit = horizon;
        if (next != NIL && a->io[next].time < horizon) limit = a->io[next].time + 1;
        else next = NIL;
        uint32_t i = cal_peek(a->calendar, a->bucket, a->io, limit);
        if (i != CAL_NIL && (next == NIL || io_before(&a->io[i], &a->io[next]))) {
            cal_pop(a->calendar, a->bucket, a->io, i);
            if (a->io[i].next != CAL_NIL) __builtin_prefetch(&a->io[a->io[i].next]);
            take(a, i);
        } else if (next != NIL) {
            taken++;
            port_arrive(a, next);
        } else {
            break;
        }
    }
    s->inbox_count -= taken;
    for (uint32_t n = 0; n < s->inbox_count; n++) a->inbox[n] = a->inbox[n + taken];
}

/* Moves what waits to the front of its table, for the submitter has read the rest. */
static void out_compact(array_t *a) {
    array_state_t *s = a->state;
    uint32_t waiting = s->out_end - s->out_start;
    if (s->out_start && waiting)
        for (uint32_t n = 0; n < waiting; n++) a->out[n] = a->out[s->out_start + n];
    s->out_start = 0;
    s->out_end = waiting;
}

/* The earliest time at which anything else can arrive if nothing more is submitted. */
static int64_t next_ns(array_t *a) {
    array_state_t *s = a->state;
    int64_t next = NEVER_NS, first = cal_first(a->calendar, a->bucket, a->io, NEVER_NS);
    if (s->inbox_count && a->io[a->inbox[0]].time < first) first = a->io[a->inbox[0]].time;
    if (first != NEVER_NS) next = first + s->return_ns;
    if (s->out_start < s->out_end && a->out[s->out_start].time < next)
        next = a->out[s->out_start].time;
    return next;
}

static uint32_t exchange(array_t *a, int64_t until, const submission_t *batch, uint32_t count) {
    array_state_t *s = a->state;
    out_compact(a);
    intake(a, batch, count);
    run(a, until + s->forward_ns);
    if (s->out_disorder) out_sort(a);
    uint32_t ready = 0;
    while (ready < s->out_end && a->out[ready].time < until + s->lookahead_ns) ready++;
    s->out_start = ready;
    s->until_ns = until;
    return ready;
}

enum { NEEDS_NOTHING = 0, NEEDS_COMMANDS = 1, NEEDS_PAGES = 2, NEEDS_OUT = 3, NEEDS_DELTAS = 4,
       NEEDS_NOTES = 5, NEEDS_CHUNKS = 6, NEEDS_BLOCKS = 7, BAD_NEXUS = -1 };

/* What a batch needs before any of it is taken, so that a window never stops half-way. */
static int needs(const kernel_t *k, const array_t *a, const submission_t *batch, uint32_t count) {
    const array_state_t *s = a->state;
    uint64_t pages = s->page_pending, compares = 0, copies = s->copies, copied = s->copy_blocks;
    for (uint32_t n = 0; n < count; n++) {
        if (batch[n].nexus >= s->itl_count) return BAD_NEXUS;
        pages += page_bound(&batch[n]);
        compares += batch[n].op == OP_COMPARE_AND_WRITE;
        if (batch[n].op != OP_COPY) continue;
        copies++;
        copied += batch[n].length / BLOCK_BYTES;
        if (!source_fits(batch[n].vm, s->itl_count, 1)) return BAD_NEXUS;
    }
    uint64_t used = k->rows[T_IO] - s->io_free_count - s->destages; /* each may be destaged yet */
    a->state->compared |= compares != 0;
    uint64_t values = s->block_count + used + compares;
    copied = s->compared || s->block_count ? values_copied_most(values, copies, copied) : 0;
    if (count > s->io_free_count || (s->caching && 2 * count + used > s->io_free_count))
        return NEEDS_COMMANDS;
    if ((s->page_count + pages) * 2 > a->page_mask) return NEEDS_PAGES;
    if ((compares | copied) && (values + copied) * 2 > a->block_mask) return NEEDS_BLOCKS;
    if ((s->access == ACCESS_PASSIVE || s->explicit_access) && /* commands may move volumes */
        k->rows[T_NOTE] <
            k->rows[T_POOL] + k->rows[T_FAULT] + 3 * k->rows[T_VOLUME] + used + count)
        return NEEDS_NOTES;
    if (s->delta_kept && /* a note for each page, and for the blocks of each command */
        s->delta_count + pages + used + count + copied + s->snapshot_count > k->rows[T_DELTA])
        return NEEDS_DELTAS;
    if (s->chunk_used + used + count > k->rows[T_CHUNK]) return NEEDS_CHUNKS; /* one an answer */
    uint64_t leaving = (uint64_t)(s->out_end - s->out_start) + used;
    return leaving + count > k->rows[T_OUT] ? NEEDS_OUT : NEEDS_NOTHING;
}

/* --- Python ------------------------------------------------------------------------------ */

static PyObject *py_exchange(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "exchange(until_ns, batch, count)");
    kernel_t *k = (kernel_t *)self;
    int64_t until = arg_i64(args[0]), count = arg_i64(args[2]);
    Py_buffer batch;
    if (PyErr_Occurred() || arg_records(args[1], &batch, sizeof(submission_t), count) < 0)
        return NULL;
    array_t a = array_of(k);
    int need;
    uint32_t ready = 0;
    int64_t next = 0;
    Py_BEGIN_ALLOW_THREADS
    need = needs(k, &a, batch.buf, (uint32_t)count);
    if (need == 0) {
        ready = exchange(&a, until, batch.buf, (uint32_t)count);
        next = next_ns(&a);
        int64_t least = until + a.state->lookahead_ns;
        if (next < least) next = least;
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&batch);
    if (need < 0) return PyErr_Format(PyExc_ValueError, "a submission's nexus is no ITL index");
    return Py_BuildValue("iILI", need, ready, (long long)next, a.state->note_count);
}

/* Takes a batch and runs it up to a time within its window, so that a change can act just then. */
static PyObject *py_run_to(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "run_to(time_ns, batch, count)");
    kernel_t *k = (kernel_t *)self;
    int64_t time = arg_i64(args[0]), count = arg_i64(args[2]);
    Py_buffer batch;
    if (PyErr_Occurred() || arg_records(args[1], &batch, sizeof(submission_t), count) < 0)
        return NULL;
    array_t a = array_of(k);
    int need;
    Py_BEGIN_ALLOW_THREADS
    need = needs(k, &a, batch.buf, (uint32_t)count);
    if (need == 0) {
        out_compact(&a);
        intake(&a, batch.buf, (uint32_t)count);
        run(&a, time);
        if (a.state->out_disorder) out_sort(&a);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&batch);
    if (need < 0) return PyErr_Format(PyExc_ValueError, "a submission's nexus is no ITL index");
    return Py_BuildValue("iI", need, a.state->note_count);
}

/* Puts a fresh kernel's lists in order: every command free, the calendar empty at a time. */
static PyObject *py_start(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    int64_t now = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    array_t a = array_of(k);
    *a.calendar = (calendar_t){.floor_ns = now, .mark_ns = now, .mask = CAL_BUCKETS_MIN - 1,
                               .shift = 14, .buckets_max = k->rows[T_BUCKET]};
    cal_clear(a.calendar, a.bucket);
    a.state->io_free = NIL;
    a.state->io_free_count = 0;
    for (uint32_t i = k->rows[T_IO]; i-- > 0;) release(&a, i);
    Py_RETURN_NONE;
}

/* After the command table has grown: the rows from `first` on are free. */
static PyObject *py_grow(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    int64_t first = arg_i64(arg);
    if (PyErr_Occurred()) return NULL;
    array_t a = array_of(k);
    a.calendar->buckets_max = k->rows[T_BUCKET];
    for (uint32_t i = k->rows[T_IO]; i-- > (uint32_t)first;) release(&a, i);
    Py_RETURN_NONE;
}

/* Fills an empty table of this kernel's, of pages or of shares, from another one. */
static PyObject *copy_rows(PyObject *arg, page_t *to, uint64_t mask) {
    Py_buffer from;
    if (arg_records(arg, &from, sizeof(page_t), 0) < 0) return NULL;
    pages_copy(from.buf, (uint64_t)(from.len / (Py_ssize_t)sizeof(page_t)), to, mask);
    PyBuffer_Release(&from);
    Py_RETURN_NONE;
}

static PyObject *py_copy_pages(PyObject *self, PyObject *arg) {
    array_t a = array_of((kernel_t *)self);
    return copy_rows(arg, a.page, a.page_mask);
}

static PyObject *py_copy_shares(PyObject *self, PyObject *arg) {
    array_t a = array_of((kernel_t *)self);
    return copy_rows(arg, a.share, a.share_mask);
}

static PyObject *py_copy_blocks(PyObject *self, PyObject *arg) {
    array_t a = array_of((kernel_t *)self);
    return copy_rows(arg, a.block, a.block_mask);
}

static int has_volume(const kernel_t *k, int64_t volume) {
    if (!PyErr_Occurred() && (volume < 0 || volume >= k->rows[T_VOLUME]))
        PyErr_SetString(PyExc_ValueError, "no such volume");
    return !PyErr_Occurred();
}

/* Whether the page table has room for so many more rows, and still ends every search. */
static int has_room(const array_t *a, uint64_t pages) {
    if ((a->state->page_count + pages) * 2 <= a->page_mask) return 1;
    PyErr_SetString(PyExc_ValueError, "no room for its pages");
    return 0;
}

/* Maps so many of a volume's unmapped pages, of which it has as many; returns the count. */
static PyObject *py_fill(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "fill(volume, pages)");
    kernel_t *k = (kernel_t *)self;
    int64_t volume = arg_i64(args[0]), count = arg_i64(args[1]);
    array_t a = array_of(k);
    if (!has_volume(k, volume) || !has_room(&a, (uint64_t)count)) return NULL;
    uint64_t needed = a.volume[volume].thick ? 0 : (uint64_t)count;
    if (!space_take(&a, (uint32_t)volume, needed, a.state->until_ns))
        return PyErr_Format(PyExc_ValueError, "no space for its pages");
    Py_BEGIN_ALLOW_THREADS
    pages_fill(&a, (uint32_t)volume, (uint64_t)count);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(count);
}

/* Gives a thick volume, new or grown, room for so many more pages, which its pool has. */
static PyObject *py_reserve(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "reserve(volume, pages, time_ns)");
    kernel_t *k = (kernel_t *)self;
    int64_t volume = arg_i64(args[0]), pages = arg_i64(args[1]), time = arg_i64(args[2]);
    if (!has_volume(k, volume)) return NULL;
    array_t a = array_of(k);
    if (!a.volume[volume].thick) return PyErr_Format(PyExc_ValueError, "a thin volume");
    if (!space_take(&a, (uint32_t)volume, (uint64_t)pages, time))
        return PyErr_Format(PyExc_ValueError, "no space for its pages");
    Py_RETURN_NONE;
}

/* Looks at a pool's thresholds anew: they have changed, or what it has, and it gained nothing. */
static PyObject *py_watch(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "watch(pool, time_ns)");
    kernel_t *k = (kernel_t *)self;
    int64_t pool = arg_i64(args[0]), time = arg_i64(args[1]);
    if (PyErr_Occurred()) return NULL;
    if (pool < 0 || pool >= k->rows[T_POOL])
        return PyErr_Format(PyExc_ValueError, "no such pool");
    array_t a = array_of(k);
    pool_t *row = &a.pool[pool];
    if (pool_used(row) < row->warning_pages) row->warned = 0;
    if (row->watched) pool_watch(&a, (uint32_t)pool, time);
    Py_RETURN_NONE;
}

/* Tells a pool that it has gained space. */
static PyObject *py_ease(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 3) return PyErr_Format(PyExc_TypeError, "ease(pool, time_ns, cause)");
    kernel_t *k = (kernel_t *)self;
    int64_t pool = arg_i64(args[0]), time = arg_i64(args[1]), cause = arg_i64(args[2]);
    if (PyErr_Occurred()) return NULL;
    if (pool < 0 || pool >= k->rows[T_POOL])
        return PyErr_Format(PyExc_ValueError, "no such pool");
    array_t a = array_of(k);
    pool_ease(&a, (uint32_t)pool, time, (uint64_t)cause);
    if (a.pool[pool].watched) pool_watch(&a, (uint32_t)pool, time);
    Py_RETURN_NONE;
}

/* Repeats changes of the page map that were noted; the table has room for them. */
static PyObject *py_repeat_pages(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    Py_buffer notes;
    if (arg_records(arg, &notes, sizeof(page_t), 0) < 0) return NULL;
    array_t a = array_of(k);
    uint64_t count = (uint64_t)(notes.len / (Py_ssize_t)sizeof(page_t));
    int fits = (a.state->page_count + count) * 2 <= a.page_mask &&
               (a.state->block_count + count) * 2 <= a.block_mask;
    for (uint64_t n = 0; n < count; n++) {
        uint64_t volume = ((const page_t *)notes.buf)[n].key >> PAGE_NUMBER_BITS;
        fits &= volume != 0 && volume <= k->rows[T_VOLUME];
    }
    if (fits) pages_repeat(&a, notes.buf, count);
    PyBuffer_Release(&notes);
    if (!fits) return PyErr_Format(PyExc_ValueError, "no such volume, or no room for its pages");
    Py_RETURN_NONE;
}

/* Gives an empty volume every page of another; returns the count. */
static PyObject *py_share(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "share(from, to)");
    kernel_t *k = (kernel_t *)self;
    int64_t from = arg_i64(args[0]), to = arg_i64(args[1]);
    array_t a = array_of(k);
    if (!has_volume(k, from) || !has_volume(k, to)) return NULL;
    uint64_t pages = a.volume[from].allocated_pages;
    if (!has_room(&a, pages)) return NULL;
    if ((a.state->share_count + pages) * 2 > a.share_mask)
        return PyErr_Format(PyExc_ValueError, "no room for what is shared");
    if (a.state->block_count * 4 > a.block_mask)
        return PyErr_Format(PyExc_ValueError, "no room for its blocks");
    Py_BEGIN_ALLOW_THREADS
    pages = pages_share(&a, (uint32_t)from, (uint32_t)to);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(pages);
}

/* Takes these pages from a volume, those of them that it has; returns how many that frees. */
static PyObject *py_unmap(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "unmap(volume, pages)");
    kernel_t *k = (kernel_t *)self;
    Py_buffer pages;
    int64_t volume = arg_i64(args[0]);
    if (!has_volume(k, volume) || arg_records(args[1], &pages, sizeof(uint64_t), 0) < 0)
        return NULL;
    array_t a = array_of(k);
    uint64_t freed = 0, count = (uint64_t)(pages.len / (Py_ssize_t)sizeof(uint64_t));
    Py_BEGIN_ALLOW_THREADS
    for (uint64_t n = 0; n < count; n++) {
        page_t *row = volume_page(&a, (uint32_t)volume, ((const uint64_t *)pages.buf)[n]);
        if (row->key != 0) freed += page_unmap(&a, (uint32_t)volume, row);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&pages);
    return PyLong_FromUnsignedLongLong(freed);
}

/* Takes all its pages from a volume; returns how many went back to the pool. */
static PyObject *py_drop(PyObject *self, PyObject *arg) {
    kernel_t *k = (kernel_t *)self;
    int64_t volume = arg_i64(arg);
    if (!has_volume(k, volume)) return NULL;
    array_t a = array_of(k);
    uint64_t freed;
    Py_BEGIN_ALLOW_THREADS
    freed = pages_drop(&a, (uint32_t)volume);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(freed);
}

/* Sends an event of one ITL, which leaves the array at a time. */
static PyObject *py_send_event(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 5)
        return PyErr_Format(PyExc_TypeError, "send_event(time_ns, id, cause, itl, code)");
    kernel_t *k = (kernel_t *)self;
    array_t a = array_of(k);
    uint64_t id = PyLong_AsUnsignedLongLong(args[1]), cause = PyLong_AsUnsignedLongLong(args[2]);
    int64_t time = arg_i64(args[0]), itl = arg_i64(args[3]), code = arg_i64(args[4]);
    if (PyErr_Occurred()) return NULL;
    if (itl < 0 || itl >= a.state->itl_count || a.state->out_end >= k->rows[T_OUT])
        return PyErr_Format(PyExc_ValueError, "no such ITL, or no room for an event");
    time += a.port[a.itl[itl].port].return_ns;
    *out_place(&a) = (completion_t){.time = time, .id = id, .array_ns = cause,
                                    .nexus = (uint32_t)itl, .sense = (uint32_t)code,
                                    .kind = KIND_EVENT};
    emit(&a);
    if (a.state->out_disorder) out_sort(&a);
    Py_RETURN_NONE;
}

/* Has all that waits in a controller's write cache set off for the media. */
static PyObject *py_flush(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "flush(controller, time_ns)");
    kernel_t *k = (kernel_t *)self;
    int64_t controller = arg_i64(args[0]), time = arg_i64(args[1]);
    if (PyErr_Occurred()) return NULL;
    if (controller < 0 || controller >= k->rows[T_CONTROLLER])
        return PyErr_Format(PyExc_ValueError, "no such controller");
    array_t a = array_of(k);
    destage_flush(&a, (uint32_t)controller, 0, time);
    Py_RETURN_NONE;
}

/* Aborts what a nexus has; its answers leave the array at a time.  Returns how many there are. */
static PyObject *py_abort_nexus(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2) return PyErr_Format(PyExc_TypeError, "abort_nexus(itl, time_ns)");
    kernel_t *k = (kernel_t *)self;
    array_t a = array_of(k);
    int64_t itl = arg_i64(args[0]), time = arg_i64(args[1]);
    if (PyErr_Occurred()) return NULL;
    uint64_t inside = k->rows[T_IO] - a.state->io_free_count;
    if (itl < 0 || itl >= a.state->itl_count || a.state->out_end + inside > k->rows[T_OUT])
        return PyErr_Format(PyExc_ValueError, "no such ITL, or no room for its answers");
    uint32_t answered = abort_nexus(&a, (uint32_t)itl, time);
    if (a.state->out_disorder) out_sort(&a);
    return PyLong_FromUnsignedLong(answered);
}

static PyMethodDef METHODS[] = {
    {"exchange", (PyCFunction)(void (*)(void))py_exchange, METH_FASTCALL,
     "exchange(until_ns, batch, count) -> (need, ready, next_ns, notes)"},
    {"run_to", (PyCFunction)(void (*)(void))py_run_to, METH_FASTCALL,
     "run_to(time_ns, batch, count) -> (need, notes)"},
    {"start", py_start, METH_O, "start(now_ns)"},
    {"abort_nexus", (PyCFunction)(void (*)(void))py_abort_nexus, METH_FASTCALL,
     "abort_nexus(itl, time_ns) -> answers"},
    {"grow", py_grow, METH_O, "grow(first_new_row)"},
    {"copy_pages", py_copy_pages, METH_O, "copy_pages(table)"},
    {"copy_shares", py_copy_shares, METH_O, "copy_shares(table)"},
    {"copy_blocks", py_copy_blocks, METH_O, "copy_blocks(table)"},
    {"reserve", (PyCFunction)(void (*)(void))py_reserve, METH_FASTCALL,
     "reserve(volume, pages, time_ns)"},
    {"fill", (PyCFunction)(void (*)(void))py_fill, METH_FASTCALL, "fill(volume, pages) -> pages"},
    {"ease", (PyCFunction)(void (*)(void))py_ease, METH_FASTCALL, "ease(pool, time_ns, cause)"},
    {"watch", (PyCFunction)(void (*)(void))py_watch, METH_FASTCALL, "watch(pool, time_ns)"},
    {"repeat_pages", py_repeat_pages, METH_O, "repeat_pages(notes)"},
    {"share", (PyCFunction)(void (*)(void))py_share, METH_FASTCALL, "share(from, to) -> pages"},
    {"unmap", (PyCFunction)(void (*)(void))py_unmap, METH_FASTCALL,
     "unmap(volume, pages) -> pages freed"},
    {"drop", py_drop, METH_O, "drop(volume) -> pages freed"},
    {"flush", (PyCFunction)(void (*)(void))py_flush, METH_FASTCALL, "flush(controller, time_ns)"},
    {"send_event", (PyCFunction)(void (*)(void))py_send_event, METH_FASTCALL,
     "send_event(time_ns, id, cause, itl, code)"},
    {NULL, NULL, 0, NULL}};

#define STATE_ROW(type, field) ROW("state", array_state_t, field)
#define PORT_ROW(type, field) ROW("port", port_t, field)
#define CONTROLLER_ROW(type, field) ROW("controller", controller_t, field)
#define POOL_ROW(type, field) ROW("pool", pool_t, field)
#define VOLUME_ROW(type, field) ROW("volume", volume_t, field)
#define UNIT_ROW(type, field) ROW("unit", unit_t, field)
#define ITL_ROW(type, field) ROW("itl", itl_t, field)
#define IO_ROW(type, field) ROW("io", io_t, field)
#define ATTENTION_ROW(type, field) ROW("attention", attention_t, field)
#define EXTENT_ROW(type, field) ROW("extent", extent_t, field)
#define READ_CACHE_ROW(type, field) ROW("read_cache", read_cache_t, field)
#define DESTAGE_ROW(type, field) ROW("destage", destage_t, field)
#define AGED_ROW(type, field) ROW("aged", line_t, field)
#define IDLE_ROW(type, field) ROW("idle", line_t, field)
#define READ_SLOT_ROW(type, field) ROW("read_slot", read_slot_t, field)
#define READ_INDEX_ROW(type, field) ROW("read_index", page_t, field)
#define QUOTA_ROW(type, field) ROW("quota", quota_t, field)
#define QUOTAS_OF_ROW(type, field) ROW("quotas_of", quotas_of_t, field)
#define TASK_ROW(type, field) ROW("task", task_t, field)
#define PAGE_ROW(type, field) ROW("page", page_t, field)
#define SHARE_ROW(type, field) ROW("share", page_t, field)
#define BLOCK_ROW(type, field) ROW("block", page_t, field)
static const field_decl_t FIELDS[] = {
    STATE_FIELDS(STATE_ROW) PORT_FIELDS(PORT_ROW) CONTROLLER_FIELDS(CONTROLLER_ROW)
    POOL_FIELDS(POOL_ROW) VOLUME_FIELDS(VOLUME_ROW) UNIT_FIELDS(UNIT_ROW) ITL_FIELDS(ITL_ROW)
    IO_FIELDS(IO_ROW) PAGE_FIELDS(PAGE_ROW) PAGE_FIELDS(SHARE_ROW) PAGE_FIELDS(BLOCK_ROW)
    ATTENTION_FIELDS(ATTENTION_ROW) QUOTA_FIELDS(QUOTA_ROW) QUOTAS_OF_FIELDS(QUOTAS_OF_ROW)
    TASK_FIELDS(TASK_ROW) READ_CACHE_FIELDS(READ_CACHE_ROW) READ_SLOT_FIELDS(READ_SLOT_ROW)
    DESTAGE_FIELDS(DESTAGE_ROW) LINE_FIELDS(AGED_ROW) LINE_FIELDS(IDLE_ROW)
    PAGE_FIELDS(READ_INDEX_ROW) EXTENT_FIELDS(EXTENT_ROW) NOTE_FIELDS(NOTE_ROW)
    FAULT_FIELDS(FAULT_ROW) CHAIN_FIELDS(CHAIN_ROW)};

KERNEL_MODULE(array, "The array's event loop.", TABLES, T_COUNT, METHODS, FIELDS)
