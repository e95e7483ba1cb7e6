/* smokestack.engine._core: the event core's parts, one by one, for tests and for benchmarks.
 *
 * The services' kernels include the same headers and never call this module; it shows Python what
 * they compile, so that the references under tests/reference can be held against it.  Two are at
 * work: the check of submissions, on the border between processes, and the text of metrics.
 */
#include "smokestack/buffer.h"
#include "smokestack/histogram.h"
#include "smokestack/sha256.h"
#include "smokestack/submissions.h"

#include "closed_network.h"
#include "render.h"

typedef struct {
    int64_t until;
    int64_t next;
    uint32_t epoch;
    uint32_t sequence;
    uint32_t count;
    uint32_t flags;
} header_t;
_Static_assert(sizeof(header_t) == 32, "a header is 32 bytes on the wire");

#define SUBMISSION_ROWS(F)                                                                     \
    F(submission_t, time) F(submission_t, id) F(submission_t, lba) F(submission_t, length)     \
    F(submission_t, nexus) F(submission_t, vm) F(submission_t, attempt) F(submission_t, op)    \
    F(submission_t, flags)
#define COMPLETION_ROWS(F)                                                                     \
    F(completion_t, time) F(completion_t, id) F(completion_t, array_ns)                        \
    F(completion_t, first_data_ns) F(completion_t, nexus) F(completion_t, sense)               \
    F(completion_t, attempt) F(completion_t, status) F(completion_t, kind)                     \
    F(completion_t, cause)
#define HEADER_ROWS(F)                                                                         \
    F(header_t, until) F(header_t, next) F(header_t, epoch) F(header_t, sequence)              \
    F(header_t, count) F(header_t, flags)
#define TRACE_ROWS(F)                                                                          \
    F(trace_record_t, time_ns) F(trace_record_t, lba) F(trace_record_t, length)                \
    F(trace_record_t, op)
#define HISTOGRAM_ROWS(F) F(hist_t, count) F(hist_t, sum) F(hist_t, max) F(hist_t, min)
#define CUSTOMER_ROWS(F) F(customer_t, time_ns) F(customer_t, next) F(customer_t, visits)
#define NETWORK_ROWS(F)                                                                        \
    F(network_t, seed) F(network_t, mean_ns) F(network_t, return_ns) F(network_t, now_ns)      \
    F(network_t, completions) F(network_t, checksum)
#define MEMBER_FORMAT(type, name) FIELD_FORMAT(__typeof__(((type *)0)->name))
#define FIELD_ROW(type, name)                                                                  \
    {#type, #name, MEMBER_FORMAT(type, name), offsetof(type, name), sizeof(type)},

static const field_decl_t CORE_FIELDS[] = {
    SUBMISSION_ROWS(FIELD_ROW) COMPLETION_ROWS(FIELD_ROW) HEADER_ROWS(FIELD_ROW)
    TRACE_ROWS(FIELD_ROW) HISTOGRAM_ROWS(FIELD_ROW) CUSTOMER_ROWS(FIELD_ROW)
    NETWORK_ROWS(FIELD_ROW)};

static PyObject *core_layout(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return kernel_layout(CORE_FIELDS, sizeof CORE_FIELDS / sizeof *CORE_FIELDS);
}

static PyObject *core_philox(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long k0, k1, c0, c1, c2, c3;
    uint64_t w[4];
    if (!PyArg_ParseTuple(args, "KKKKKK:philox", &k0, &k1, &c0, &c1, &c2, &c3)) return NULL;
    philox4x64_10(k0, k1, c0, c1, c2, c3, w);
    return Py_BuildValue("(KKKK)", (unsigned long long)w[0], (unsigned long long)w[1],
                         (unsigned long long)w[2], (unsigned long long)w[3]);
}

static PyObject *core_philox_fill(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long k0, k1, c0, c1, c2;
    PyObject *o;
    view_t out;
    if (!PyArg_ParseTuple(args, "KKKKKO:philox_fill", &k0, &k1, &c0, &c1, &c2, &o)) return NULL;
    if (view_get(o, &out, 4 * sizeof(uint64_t), "out") < 0) return NULL;
    uint64_t *w = out.data;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t n = 0; n < out.count; n++)
        philox4x64_10(k0, k1, c0 + (uint64_t)n, c1, c2, 0, w + 4 * n);
    Py_END_ALLOW_THREADS
    view_release(&out);
    Py_RETURN_NONE;
}

static PyObject *core_mulhi(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long w, n;
    if (!PyArg_ParseTuple(args, "KK:mulhi", &w, &n)) return NULL;
    return PyLong_FromUnsignedLongLong(mulhi64(w, n));
}

static PyObject *core_exponential(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long w;
    if (!PyArg_ParseTuple(args, "K:exponential", &w)) return NULL;
    return PyLong_FromUnsignedLongLong(exponential_q32(w));
}

static PyObject *core_exponential_ns(PyObject *self, PyObject *args) {
    (void)self;
    long long mean_ns;
    unsigned long long w;
    if (!PyArg_ParseTuple(args, "LK:exponential_ns", &mean_ns, &w)) return NULL;
    if (mean_ns < 0) {
        PyErr_SetString(PyExc_ValueError, "mean_ns: want 0 or more");
        return NULL;
    }
    return PyLong_FromLongLong(exponential_ns(mean_ns, w));
}

static PyObject *core_hist_index(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long v;
    if (!PyArg_ParseTuple(args, "K:hist_index", &v)) return NULL;
    return PyLong_FromUnsignedLong(hist_index(v));
}

static PyObject *core_hist_add(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *h, *o;
    view_t histogram, values;
    if (!PyArg_ParseTuple(args, "OO:hist_add", &h, &o)) return NULL;
    if (view_get(h, &histogram, sizeof(hist_t), "histogram") < 0) return NULL;
    if (view_get_const(o, &values, sizeof(uint64_t), "values") < 0) {
        view_release(&histogram);
        return NULL;
    }
    if (histogram.count != 1) {
        PyErr_SetString(PyExc_ValueError, "histogram: want one row");
    } else {
        const uint64_t *v = values.data;
        for (Py_ssize_t n = 0; n < values.count; n++) hist_add(histogram.data, v[n]);
    }
    view_release(&histogram);
    view_release(&values);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

/* ---- the calendar, driven by a script ---- */

typedef struct {
    int64_t op;
    int64_t node;
    int64_t value; /* PUSH: the node's time; POP and FIRST: the limit; in the end the answer */
} script_t;

enum { SCRIPT_PUSH, SCRIPT_POP, SCRIPT_FIRST, SCRIPT_TUNE, SCRIPT_REBUILD };

static int script_step(script_t *s, calendar_t *c, cal_bucket_t *b, customer_t *node,
                       Py_ssize_t nodes) {
    if (s->op == SCRIPT_PUSH && s->node >= 0 && s->node < nodes) {
        node[s->node].time_ns = s->value;
        cal_push(c, b, node, (uint32_t)s->node);
    } else if (s->op == SCRIPT_POP) {
        uint32_t i = cal_peek(c, b, node, s->value);
        s->node = i == CAL_NIL ? -1 : (int64_t)i;
        if (i != CAL_NIL) {
            s->value = node[i].time_ns;
            cal_pop(c, b, node, i);
        }
    } else if (s->op == SCRIPT_FIRST) {
        s->value = cal_first(c, b, node, s->value);
    } else if (s->op == SCRIPT_TUNE) {
        cal_tune(c, b, node);
    } else if (s->op == SCRIPT_REBUILD && s->value >= 0 && s->value < 48) {
        uint32_t buckets = c->mask + 1 < c->buckets_max ? 2 * (c->mask + 1) : CAL_BUCKETS_MIN;
        cal_rebuild(c, b, node, buckets, (uint32_t)s->value);
    } else {
        return -1;
    }
    return 0;
}

/* calendar_script(script, nodes, buckets_max): plays the script's rows on an empty calendar. */
static PyObject *core_calendar_script(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *script_o, *bucket_o;
    view_t script, bucket;
    Py_ssize_t nodes;
    if (!PyArg_ParseTuple(args, "OnO:calendar_script", &script_o, &nodes, &bucket_o)) return NULL;
    if (view_get(script_o, &script, sizeof(script_t), "script") < 0) return NULL;
    if (view_get(bucket_o, &bucket, sizeof(cal_bucket_t), "buckets") < 0) {
        view_release(&script);
        return NULL;
    }
    customer_t *node = PyMem_Calloc((size_t)(nodes > 0 ? nodes : 1), sizeof(customer_t));
    uint32_t buckets = (uint32_t)bucket.count;
    if (node == NULL) {
        PyErr_NoMemory();
    } else if (buckets < CAL_BUCKETS_MIN || (buckets & (buckets - 1)) != 0) {
        PyErr_SetString(PyExc_ValueError, "buckets: want a power of two, at least 64");
    } else {
        calendar_t c = {.mask = CAL_BUCKETS_MIN - 1, .shift = 10, .buckets_max = buckets};
        cal_clear(&c, bucket.data);
        script_t *s = script.data;
        Py_ssize_t n = 0;
        while (n < script.count && script_step(&s[n], &c, bucket.data, node, nodes) == 0) n++;
        if (n < script.count) PyErr_Format(PyExc_ValueError, "script: row %zd is wrong", n);
    }
    PyMem_Free(node);
    view_release(&script);
    view_release(&bucket);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

/* ---- the closed network ---- */

enum { N_STATE, N_CUSTOMER, N_SERVER, N_CALENDAR, N_BUCKET, N_TABLES };
static const char *const NETWORK_NAME[N_TABLES] = {"state", "customers", "servers", "calendar",
                                                   "buckets"};
static const Py_ssize_t NETWORK_SIZE[N_TABLES] = {sizeof(network_t), sizeof(customer_t),
                                                  sizeof(int64_t), sizeof(calendar_t),
                                                  sizeof(cal_bucket_t)};

static const char *network_fault(const view_t v[N_TABLES]) {
    Py_ssize_t buckets = v[N_BUCKET].count;
    if (v[N_STATE].count != 1 || v[N_CALENDAR].count != 1) return "state, calendar: want one row";
    if (v[N_CUSTOMER].count < 1 || v[N_CUSTOMER].count >= CAL_NIL) return "customers: want some";
    if (v[N_SERVER].count < 1) return "servers: want some";
    if (buckets < (Py_ssize_t)CAL_BUCKETS_MIN || (buckets & (buckets - 1)) != 0)
        return "buckets: want a power of two, at least 64";
    const network_t *s = v[N_STATE].data;
    if (s->return_ns < 1 || s->mean_ns < 0) return "state: want return_ns >= 1, mean_ns >= 0";
    return NULL;
}

/* Takes the five tables from the front of args, and `extra` more arguments are expected. */
static int network_take(PyObject *args, Py_ssize_t extra, view_t v[N_TABLES],
                        closed_network_t *n) {
    if (PyTuple_Size(args) != N_TABLES + extra) {
        PyErr_Format(PyExc_TypeError, "want %zd arguments", (Py_ssize_t)N_TABLES + extra);
        return -1;
    }
    for (int i = 0; i < N_TABLES; i++)
        if (view_get(PyTuple_GetItem(args, i), &v[i], NETWORK_SIZE[i], NETWORK_NAME[i]) < 0)
            return -1;
    const char *fault = network_fault(v);
    if (fault != NULL) {
        PyErr_SetString(PyExc_ValueError, fault);
        return -1;
    }
    *n = (closed_network_t){v[N_STATE].data,  v[N_CUSTOMER].data, (uint32_t)v[N_CUSTOMER].count,
                            v[N_SERVER].data, (uint64_t)v[N_SERVER].count, v[N_CALENDAR].data,
                            v[N_BUCKET].data};
    return 0;
}

static PyObject *network_give(view_t v[N_TABLES]) {
    for (int i = 0; i < N_TABLES; i++) view_release(&v[i]);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static PyObject *core_network_start(PyObject *self, PyObject *args) {
    (void)self;
    view_t v[N_TABLES] = {0};
    closed_network_t n;
    if (network_take(args, 0, v, &n) == 0) network_start(&n, (uint32_t)v[N_BUCKET].count);
    return network_give(v);
}

static PyObject *core_network_run(PyObject *self, PyObject *args) {
    (void)self;
    view_t v[N_TABLES] = {0};
    closed_network_t n;
    if (network_take(args, 1, v, &n) == 0) {
        uint64_t events = PyLong_AsUnsignedLongLong(PyTuple_GetItem(args, N_TABLES));
        if (!PyErr_Occurred() && n.calendar->count != n.customer_count) {
            PyErr_SetString(PyExc_ValueError, "calendar: closed_network_start comes first");
        } else if (!PyErr_Occurred()) {
            Py_BEGIN_ALLOW_THREADS
            network_run(&n, events);
            Py_END_ALLOW_THREADS
        }
    }
    return network_give(v);
}

static PyObject *core_check_submissions(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *batch;
    long long from_ns, until_ns;
    unsigned long long nexus_count;
    int tasks;
    if (!PyArg_ParseTuple(args, "OLLKp:check_submissions", &batch, &from_ns, &until_ns,
                          &nexus_count, &tasks))
        return NULL;
    view_t v;
    if (view_get_const(batch, &v, sizeof(submission_t), "submissions") < 0) return NULL;
    uint64_t first = 0, count = (uint64_t)v.count;
    int wrong =
        submissions_check(v.data, count, from_ns, until_ns, nexus_count, tasks, &first);
    view_release(&v);
    return Py_BuildValue("iK", wrong, (unsigned long long)first);
}

/* The digest of some bytes, absorbed in pieces of one size. */
static PyObject *core_sha256(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer from;
    Py_ssize_t step;
    sha256_t state = {0};
    uint8_t out[32];
    if (!PyArg_ParseTuple(args, "y*n:sha256", &from, &step)) return NULL;
    for (Py_ssize_t at = 0; step > 0 && at < from.len; at += step)
        sha256_update(&state, (const char *)from.buf + at,
                      (size_t)(from.len - at < step ? from.len - at : step));
    PyBuffer_Release(&from);
    sha256_final(&state, out);
    return PyBytes_FromStringAndSize((const char *)out, sizeof out);
}

/* One block after another, without the processor's own instructions. */
static PyObject *core_sha256_plain(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer from;
    uint32_t state[8];
    if (!PyArg_ParseTuple(args, "y*:sha256_plain", &from)) return NULL;
    memcpy(state, SHA256_START, sizeof state);
    sha256_blocks_plain(state, from.buf, (size_t)from.len / SHA256_BLOCK);
    PyBuffer_Release(&from);
    return PyBytes_FromStringAndSize((const char *)state, sizeof state);
}

/* Fills `line` from a tuple of (prefix, suffix); returns the bytes that they take in all. */
static Py_ssize_t render_lines(PyObject *lines, render_line_t *line) {
    Py_ssize_t size = 0;
    for (Py_ssize_t n = 0; n < PyTuple_Size(lines); n++) {
        PyObject *prefix, *suffix;
        char *text[2];
        if (!PyArg_ParseTuple(PyTuple_GetItem(lines, n), "SS", &prefix, &suffix) ||
            PyBytes_AsStringAndSize(prefix, &text[0], &line[n].prefix_size) < 0 ||
            PyBytes_AsStringAndSize(suffix, &text[1], &line[n].suffix_size) < 0)
            return -1;
        line[n].prefix = text[0];
        line[n].suffix = text[1];
        size += line[n].prefix_size + line[n].suffix_size + RENDER_VALUE_MAX;
    }
    return size;
}

static PyObject *render_text(PyObject *lines, const char *kinds, Py_ssize_t width,
                             const view_t *labels, const view_t *ends, const view_t *values,
                             const view_t *texts, long long first, long long count) {
    render_line_t *line = PyMem_Malloc((size_t)(width ? width : 1) * sizeof *line);
    if (!line) return PyErr_NoMemory();
    const int64_t *end = ends->data;
    Py_ssize_t fixed = render_lines(lines, line);
    Py_ssize_t most = fixed * count + width * (Py_ssize_t)(end[first + count] - end[first]);
    char *begin = fixed < 0 ? NULL : PyMem_Malloc((size_t)(most ? most : 1)), *to;
    PyObject *text = NULL;
    if (begin) {
        Py_BEGIN_ALLOW_THREADS
        to = render_rows(begin, labels->data, end, line, kinds, width, values->data, texts, first,
                         count);
        Py_END_ALLOW_THREADS
        if (to) text = PyBytes_FromStringAndSize(begin, (Py_ssize_t)(to - begin));
        else PyErr_SetString(PyExc_ValueError, "values and texts do not match");
    } else if (fixed >= 0) PyErr_NoMemory();
    PyMem_Free(begin);
    PyMem_Free(line);
    return text;
}

static PyObject *core_render(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *lines, *kind_o, *label_o, *end_o, *value_o, *text_o;
    char *kinds;
    Py_ssize_t width;
    long long first, count;
    if (!PyArg_ParseTuple(args, "O!SOOOOLL:render", &PyTuple_Type, &lines, &kind_o, &label_o,
                          &end_o, &value_o, &text_o, &first, &count) ||
        PyBytes_AsStringAndSize(kind_o, &kinds, &width) < 0)
        return NULL;
    view_t labels = {0}, ends = {0}, values = {0}, texts = {0};
    PyObject *text = NULL;
    if (view_get_const(label_o, &labels, 1, "labels") == 0 &&
        view_get_const(end_o, &ends, sizeof(int64_t), "ends") == 0 &&
        view_get_const(value_o, &values, sizeof(int64_t), "values") == 0 &&
        view_get_const(text_o, &texts, 1, "texts") == 0) {
        const int64_t *end = ends.data;
        int rows = first >= 0 && count >= 0 && first + count < ends.count &&
                   (first + count) * width <= values.count;
        for (long long row = first; rows && row <= first + count; row++)
            rows = end[row] >= (row > first ? end[row - 1] : 0) && end[row] <= labels.count;
        if (!rows || PyTuple_Size(lines) != width)
            PyErr_SetString(PyExc_ValueError, "rows, lines and values do not match");
        else
            text = render_text(lines, kinds, width, &labels, &ends, &values, &texts, first,
                               count);
    }
    view_release(&labels);
    view_release(&ends);
    view_release(&values);
    view_release(&texts);
    return text;
}

static PyMethodDef core_functions[] = {
    {"layout", core_layout, METH_NOARGS, "Fields of the C records."},
    {"philox", core_philox, METH_VARARGS, "One Philox4x64-10 block."},
    {"philox_fill", core_philox_fill, METH_VARARGS, "Blocks of consecutive counters."},
    {"mulhi", core_mulhi, METH_VARARGS, "Uniform integer below n from a random word."},
    {"exponential", core_exponential, METH_VARARGS, "Standard exponential in Q32."},
    {"exponential_ns", core_exponential_ns, METH_VARARGS, "Exponential of a mean."},
    {"hist_index", core_hist_index, METH_VARARGS, "A value's bucket."},
    {"hist_add", core_hist_add, METH_VARARGS, "Adds values to one histogram."},
    {"calendar_script", core_calendar_script, METH_VARARGS, "Plays pushes and pops."},
    {"check_submissions", core_check_submissions, METH_VARARGS, "What is wrong, and where."},
    {"render", core_render, METH_VARARGS, "Rows as lines of Prometheus text."},
    {"sha256", core_sha256, METH_VARARGS, "SHA-256, absorbed in pieces of a size."},
    {"sha256_plain", core_sha256_plain, METH_VARARGS, "The state after whole blocks."},
    {"closed_network_start", core_network_start, METH_VARARGS, "Sends all customers out."},
    {"closed_network_run", core_network_run, METH_VARARGS, "Runs a number of completions."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef core_def = {
    PyModuleDef_HEAD_INIT, "_core", "The event core's parts.", -1, core_functions,
    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) { return PyModule_Create(&core_def); }
