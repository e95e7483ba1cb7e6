/* Notes: the rare things that a kernel alone sees happen, for Python to make events of.
 *
 * A kernel numbers events in the order in which they happen in virtual time, at once, so that the
 * records that it sends can name what caused them.  A kernel that takes notes has a table `note`
 * with room for the most that one window can bring, and in its state row `event_count` and
 * `note_count`.  The Python twin is engine/notes.py.
 */
#ifndef SMOKESTACK_NOTES_H
#define SMOKESTACK_NOTES_H

#include "smokestack/kernel.h"

#define NOTE_FIELDS(F)                                                                         \
    F(int64_t, time)                                                                           \
    F(uint64_t, number) /* of the event, in its service's log */                               \
    F(uint64_t, cause)  /* number of the event that caused it; 0: none known */                \
    F(uint64_t, detail)                                                                        \
    F(uint64_t, more)                                                                          \
    F(uint32_t, kind)                                                                          \
    F(uint32_t, subject) /* a row */

DECLARE_STRUCT(note_t, NOTE_FIELDS)

#define NOTE_ROW(type, field) ROW("note", note_t, field)

/* Numbers an event and notes it; `state` is the kernel's row.  Returns the number. */
#define NOTE(state, notes, ...)                                                                \
    note_take(notes, &(state)->note_count, &(state)->event_count, (note_t){__VA_ARGS__})

static inline uint64_t note_take(
    note_t *notes, uint32_t *note_count, uint64_t *event_count, note_t note) {
    note.number = ++*event_count;
    notes[(*note_count)++] = note;
    return note.number;
}

/* An event's number as a completion carries it; one that does not fit is not known. */
static inline uint32_t note_cause(uint64_t number) {
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

#endif
