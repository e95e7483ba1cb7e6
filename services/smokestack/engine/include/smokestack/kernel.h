/* A kernel: C over tables that live in NumPy memory, bound once through the buffer protocol.
 *
 * The includer declares each table's struct by an X-macro (FIELDS(F) with F(type, name)), so that
 * one list makes the C struct and, through `layout()`, the NumPy dtype: the two cannot differ.
 * It then lists its tables (KERNEL_TABLES), its methods, and calls KERNEL_MODULE.
 * State holds indices, never pointers: a copy of the tables is a copy of the kernel.
 */
#ifndef SMOKESTACK_KERNEL_H
#define SMOKESTACK_KERNEL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_TABLES_MAX 64

typedef struct {
    const char *name;
    Py_ssize_t itemsize;
} table_decl_t;

typedef struct {
    const char *table;
    const char *field;
    const char *format; /* NumPy's */
    Py_ssize_t offset;
    Py_ssize_t itemsize;
} field_decl_t;

typedef struct {
    PyObject_HEAD
    int bound;
    Py_buffer view[KERNEL_TABLES_MAX];
    void *table[KERNEL_TABLES_MAX];
    uint32_t rows[KERNEL_TABLES_MAX];
} kernel_t;

#define DECLARE_FIELD(type, name) type name;
#define FIELD_FORMAT(type)                                                                     \
    _Generic((type)0, int64_t: "<i8", uint64_t: "<u8", int32_t: "<i4", uint32_t: "<u4",        \
             uint16_t: "<u2", uint8_t: "u1")
/* One row of a layout: ROW("port", port_t, queue_limit). */
#define ROW(table, struct_type, field)                                                         \
    {table, #field, FIELD_FORMAT(__typeof__(((struct_type *)0)->field)),                       \
     offsetof(struct_type, field), sizeof(struct_type)},
#define DECLARE_STRUCT(name, FIELDS)                                                           \
    typedef struct {                                                                           \
        FIELDS(DECLARE_FIELD)                                                                  \
    } name;

static inline PyObject *kernel_layout(const field_decl_t *fields, size_t count) {
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < count; i++) {
        const field_decl_t *f = &fields[i];
        PyObject *row = Py_BuildValue(
            "(sssnn)", f->table, f->field, f->format, f->offset, f->itemsize);
        if (!row || PyList_Append(list, row) < 0) Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

/* Binds one table; a wrong size would be memory corruption, so it is refused by name. */
static inline int kernel_bind(kernel_t *k, int i, PyObject *o, const table_decl_t *decl) {
    if (PyObject_GetBuffer(o, &k->view[i], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) return -1;
    k->bound = i + 1;
    if (k->view[i].itemsize != decl->itemsize) {
        PyErr_Format(PyExc_ValueError, "table %s: rows of %zd bytes, not %zd", decl->name,
                     k->view[i].itemsize, decl->itemsize);
        return -1;
    }
    k->table[i] = k->view[i].buf;
    k->rows[i] = (uint32_t)(k->view[i].len / decl->itemsize);
    return 0;
}

static inline void kernel_dealloc(PyObject *self) {
    kernel_t *k = (kernel_t *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (int i = 0; i < k->bound; i++) PyBuffer_Release(&k->view[i]);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static inline PyObject *kernel_new(
    PyTypeObject *type, PyObject *args, const table_decl_t *decls, int count) {
    if (PyTuple_Size(args) != count) {
        PyErr_Format(PyExc_TypeError, "Kernel takes %d tables, not %zd", count, PyTuple_Size(args));
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    kernel_t *k = (kernel_t *)alloc(type, 0);
    if (!k) return NULL;
    for (int i = 0; i < count; i++)
        if (kernel_bind(k, i, PyTuple_GetItem(args, i), &decls[i]) < 0) {
            Py_DECREF(k);
            return NULL;
        }
    return (PyObject *)k;
}

/* One integer argument; -1 with an exception set when it is none. */
static inline int64_t arg_i64(PyObject *o) { return (int64_t)PyLong_AsLongLong(o); }

/* A read-only batch of records for the length of one call. */
static inline int arg_records(PyObject *o, Py_buffer *view, Py_ssize_t itemsize, int64_t count) {
    if (PyObject_GetBuffer(o, view, PyBUF_C_CONTIGUOUS) < 0) return -1;
    if (view->itemsize == itemsize && count >= 0 && count * itemsize <= view->len) return 0;
    PyErr_Format(PyExc_ValueError, "%lld records of %zd bytes do not fit a buffer of %zd bytes",
                 (long long)count, itemsize, view->len);
    PyBuffer_Release(view);
    return -1;
}

#define KERNEL_MODULE(module, doc, DECLS, COUNT, METHODS, FIELDS_LIST)                         \
    _Static_assert(COUNT <= KERNEL_TABLES_MAX, "there is no room for so many tables");        \
    static PyObject *module##_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {      \
        (void)kwargs;                                                                          \
        return kernel_new(type, args, DECLS, COUNT);                                           \
    }                                                                                          \
    static PyType_Slot module##_slots[] = {{Py_tp_new, (void *)module##_new},                  \
                                           {Py_tp_dealloc, (void *)kernel_dealloc},            \
                                           {Py_tp_methods, METHODS},                           \
                                           {0, NULL}};                                         \
    static PyType_Spec module##_spec = {"smokestack." #module ".Kernel", sizeof(kernel_t), 0,  \
                                        Py_TPFLAGS_DEFAULT, module##_slots};                   \
    static PyObject *module##_layout(PyObject *self, PyObject *unused) {                       \
        (void)self, (void)unused;                                                              \
        return kernel_layout(FIELDS_LIST, sizeof FIELDS_LIST / sizeof *FIELDS_LIST);           \
    }                                                                                          \
    static PyMethodDef module##_functions[] = {                                                \
        {"layout", module##_layout, METH_NOARGS, "Fields of every table."},                    \
        {NULL, NULL, 0, NULL}};                                                                \
    static struct PyModuleDef module##_def = {                                                 \
        PyModuleDef_HEAD_INIT, "_kernel", doc, -1, module##_functions, NULL, NULL, NULL, NULL}; \
    PyMODINIT_FUNC PyInit__kernel(void);                                                       \
    PyMODINIT_FUNC PyInit__kernel(void) {                                                      \
        PyObject *m = PyModule_Create(&module##_def);                                          \
        PyObject *type = m ? PyType_FromSpec(&module##_spec) : NULL;                           \
        if (!type || PyModule_AddObject(m, "Kernel", type) < 0) {                              \
            Py_XDECREF(type);                                                                  \
            Py_CLEAR(m);                                                                       \
        }                                                                                      \
        return m;                                                                              \
    }

#endif
