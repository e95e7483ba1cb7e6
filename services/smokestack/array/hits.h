/* Fault rules that hit single commands, and what they do to them. */
#ifndef SMOKESTACK_ARRAY_HITS_H
#define SMOKESTACK_ARRAY_HITS_H

#include "context.h"
#include "smokestack/faults.h"

/* The rule of a kind that hits a command, or NULL; its last hit is an event. */
static const fault_t *hit(array_t *a, uint32_t head, uint32_t kind, const io_t *io) {
    array_state_t *s = a->state;
    fault_t *f = fault_hit(a->fault, a->chain, head, kind, s->seed, io->id, io->attempt);
    if (f && f->hits == f->limit)
        NOTE(s, a->note, .time = io->time, .kind = NOTE_FAULT_EXHAUSTED,
             .subject = (uint32_t)(f - a->fault));
    return f;
}

static int64_t slowed(array_t *a, uint32_t head, uint32_t kind, const io_t *io, int64_t service) {
    const fault_t *f = hit(a, head, kind, io);
    return f ? fault_stretch(f, service) : service;
}

/* Makes a command fail if a rule says so. */
static void spoil(array_t *a, uint32_t head, uint32_t kind, io_t *io, uint32_t sense) {
    const fault_t *f = hit(a, head, kind, io);
    if (!f) return;
    io->sense = sense;
    io->lba = f->event;
}

#endif
