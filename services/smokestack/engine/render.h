/* Prometheus text from tables: labelled rows, and one or more lines for each.
 *
 * A line is `prefix`, the row's labels, `suffix` and a value.  What the lines of a row have in
 * common stands once, so that a million lines need no templates.
 */
#ifndef SMOKESTACK_RENDER_H
#define SMOKESTACK_RENDER_H

#include "smokestack/buffer.h"

#include <string.h>

/* How a value is written; exposition.py has the same letters. */
enum { RENDER_INTEGER = 'd', RENDER_SECONDS = 'n' /* given in ns */,
       RENDER_TEXT = 't' /* given as a place among texts, and a length in the lowest 8 bits */ };
#define RENDER_VALUE_MAX 256 /* bytes that a value and its line's end take at most */

typedef struct {
    const char *prefix, *suffix;
    Py_ssize_t prefix_size, suffix_size;
} render_line_t;

static char *render_unsigned(char *to, uint64_t v) {
    char digits[20], *at = digits + sizeof digits;
    do *--at = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    size_t size = (size_t)(digits + sizeof digits - at);
    memcpy(to, at, size);
    return to + size;
}

static char *render_signed(char *to, int64_t v) {
    if (v < 0) *to++ = '-';
    return render_unsigned(to, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static char *render_seconds(char *to, int64_t ns) {
    if (ns < 0) *to++ = '-';
    uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, rest = v % 1000000000u;
    to = render_unsigned(to, v / 1000000000u);
    *to++ = '.';
    for (int n = 8; n >= 0; n--, rest /= 10) to[n] = (char)('0' + rest % 10);
    return to + 9;
}

static char *render_put(char *to, const char *text, Py_ssize_t size) {
    memcpy(to, text, (size_t)size);
    return to + size;
}

/* Writes rows `first` to `first + count`; returns where the text ends, or NULL: a value has no
 * place among the texts. */
static char *render_rows(char *to, const char *labels, const int64_t *ends,
                         const render_line_t *line, const char *kinds, Py_ssize_t width,
                         const int64_t *values, const view_t *texts, int64_t first,
                         int64_t count) {
    for (int64_t row = first; row < first + count; row++) {
        const char *label = labels + ends[row];
        Py_ssize_t size = (Py_ssize_t)(ends[row + 1] - ends[row]);
        for (Py_ssize_t n = 0; n < width; n++) {
            int64_t v = values[row * width + n];
            to = render_put(to, line[n].prefix, line[n].prefix_size);
            to = render_put(to, label, size);
            to = render_put(to, line[n].suffix, line[n].suffix_size);
            if (kinds[n] == RENDER_INTEGER) to = render_signed(to, v);
            else if (kinds[n] == RENDER_SECONDS) to = render_seconds(to, v);
            else if (v < 0 || (v >> 8) + (v & 255) > texts->count) return NULL;
            else to = render_put(to, (const char *)texts->data + (v >> 8), v & 255);
            *to++ = '\n';
        }
    }
    return to;
}

#endif
