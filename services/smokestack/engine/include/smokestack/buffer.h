/* Takes memory from Python by the buffer protocol, as an array of C structs.
 *
 * All kernel state lives in such memory, so that a snapshot is a copy; nothing here needs NumPy's
 * headers.  A view pins its buffer from view_get to view_release, the GIL may be released between.
 */
#ifndef SMOKESTACK_BUFFER_H
#define SMOKESTACK_BUFFER_H

#include <Python.h>
#include <stdint.h>

typedef struct {
    Py_buffer buf;
    Py_ssize_t count; /* structs in the buffer */
    void *data;
} view_t;

static inline void view_release(view_t *v) {
    PyBuffer_Release(&v->buf); /* nothing to do where buf.obj is NULL */
    v->data = NULL;
}

/* Fills v and returns 0, or sets TypeError or ValueError naming `what` and returns -1; a zeroed
 * view, or one that was refused, may be released.
 *
 * The buffer's own item must divide the struct (a struct, or its scalars, or bytes), so that an
 * array of another record is refused.  Structs hold 64-bit fields, hence the alignment. */
static inline int view_take(PyObject *o, view_t *v, Py_ssize_t itemsize, const char *what,
                            int flags) {
    v->data = NULL;
    v->count = 0;
    v->buf.obj = NULL;
    if (PyObject_GetBuffer(o, &v->buf, flags) < 0) {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "%s: want a %sC-contiguous buffer", what,
                     (flags & PyBUF_WRITABLE) ? "writable " : "");
        return -1;
    }
    Py_ssize_t own = v->buf.itemsize > 0 ? v->buf.itemsize : 1;
    const char *wrong = NULL;
    if (itemsize % own != 0 || v->buf.len % itemsize != 0) {
        wrong = "want items of %zd bytes";
    } else if (itemsize % 8 == 0 && (uintptr_t)v->buf.buf % 8 != 0) {
        wrong = "want memory aligned to 8 bytes";
    }
    if (wrong != NULL) {
        PyObject *reason = PyUnicode_FromFormat(wrong, itemsize);
        if (reason != NULL) {
            PyErr_Format(PyExc_ValueError, "%s: %U", what, reason);
            Py_DECREF(reason);
        }
        PyBuffer_Release(&v->buf);
        return -1;
    }
    v->count = v->buf.len / itemsize;
    v->data = v->buf.buf;
    return 0;
}

/* A writable view; `what` names the argument in messages. */
static inline int view_get(PyObject *o, view_t *v, Py_ssize_t itemsize, const char *what) {
    return view_take(o, v, itemsize, what, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
}

/* A view of memory that is only read, which may be immutable (records off the wire are). */
static inline int view_get_const(PyObject *o, view_t *v, Py_ssize_t itemsize, const char *what) {
    return view_take(o, v, itemsize, what, PyBUF_C_CONTIGUOUS);
}

#endif
