/* What leaves the array: responses and events, in the order in which submitters hear them. */
#ifndef SMOKESTACK_ARRAY_ANSWERS_H
#define SMOKESTACK_ARRAY_ANSWERS_H

#include "access.h"
#include "attentions.h"
#include "quotas.h"
#include "smokestack/hints.h"

/* The order in which records reach a submitter: at one instant events, then what is complete of
 * task management, then responses. */
static inline int out_before(const completion_t *a, const completion_t *b) {
    if (a->time != b->time) return a->time < b->time;
    int first = a->kind >= KIND_EVENT, second = b->kind >= KIND_EVENT;
    if (first != second) return first;
    if (first && a->kind != b->kind) return a->kind < b->kind;
    if (a->id != b->id) return a->id < b->id;
    return a->attempt < b->attempt;
}

/* Where the next record goes: it is written in place, for a copy would wait for its parts. */
static inline completion_t *out_place(array_t *a) { return &a->out[a->state->out_end]; }

static inline void emit(array_t *a) {
    array_state_t *s = a->state;
    const completion_t *record = out_place(a);
    if (s->out_end > s->out_start && out_before(record, record - 1)) s->out_disorder = 1;
    s->out_end++;
}

/* Unequal return latencies put records slightly out of order: an insertion sort is linear then. */
static void out_sort(array_t *a) {
    array_state_t *s = a->state;
    for (uint32_t i = s->out_start + 1; i < s->out_end; i++) {
        completion_t record = a->out[i];
        uint32_t at = i;
        for (; at > s->out_start && out_before(&record, &a->out[at - 1]); at--)
            a->out[at] = a->out[at - 1];
        a->out[at] = record;
    }
    s->out_disorder = 0;
}

static inline void release(array_t *a, uint32_t i) {
    a->io[i].next = a->state->io_free;
    a->io[i].kind = NO_COMMAND;
    a->state->io_free = i;
    a->state->io_free_count++;
}

static inline void respond(array_t *a, uint32_t i, uint8_t status, int64_t now) {
    const io_t *io = &a->io[i];
    int64_t time = now + a->port[a->itl[io->itl].port].return_ns;
    uint64_t id = io->id, first_data_ns = io->first_data_ns;
    uint64_t array_ns = (uint64_t)(now - io->arrival_ns);
    uint32_t itl = io->itl, sense = status == STATUS_CHECK ? io->sense : 0;
    uint16_t attempt = io->attempt;
    *out_place(a) = (completion_t){time, id, array_ns, first_data_ns, itl, sense,
                                   attempt, status, KIND_RESPONSE, 0};
    emit(a);
}

static void count_check(array_t *a, itl_t *itl, const io_t *io) {
    uint32_t sense = io->sense;
    itl->check_condition++;
    if (sense == SENSE_LBA_OUT_OF_RANGE) itl->out_of_range++;
    else if (sense == SENSE_LU_NOT_SUPPORTED) itl->no_unit++;
    else if (sense == SENSE_UNRECOVERED_READ) itl->media_error++;
    else if (sense == SENSE_INTERNAL_FAILURE) itl->target_failure++;
    else if (sense == SENSE_SPACE_ALLOCATION_FAILED) itl->no_space++;
    else if (sense != SENSE_WRITE_PROTECTED && sense != SENSE_MISCOMPARE &&
             sense != SENSE_COPY_FAILED && sense != SENSE_COPY_UNREACHABLE)
        attention_count(a, io);
}

/* A status without sense data: BUSY of a pool that has no space, for the host may try again, or a
 * conflict with a reservation. */
static void respond_status(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    if (io->sense == ANSWER_BUSY) a->itl[io->itl].busy++;
    else conflict_count(a, io->itl);
    respond(a, i, (uint8_t)(io->sense ^ ANSWER_STATUS), io->time);
    a->out[a->state->out_end - 1].cause = note_cause(io->lba);
}

/* Number of the event that made a command fail. */
static uint32_t cause_of(const itl_t *itl, const io_t *io) {
    if (io->sense == SENSE_LU_NOT_SUPPORTED) return note_cause(itl->hidden);
    return io->sense == SENSE_LBA_OUT_OF_RANGE ? 0 : note_cause(io->lba);
}

/* Whether the controller behind a port owns a volume; all do where access is symmetric. */
static inline int owns(const volume_t *volume, const port_t *port) {
    return !volume->owner || volume->owner == port->controller + 1;
}

/* In a command's epoch: it was aborted, and nobody waits for its answer. */
#define EPOCH_ABORTED 0x80000000u

static inline int is_aborted(const io_t *io) { return (io->epoch & EPOCH_ABORTED) != 0; }

/* What served a command is lost: its heir has the host send it again. */
static __attribute__((noinline, cold)) void respond_for_another(array_t *a, uint32_t i) {
    itl_t *itl = &a->itl[a->io[i].itl];
    port_t *port = &a->port[itl->port];
    port->handed++;
    port->busy++;
    itl->busy++;
    respond(a, i, STATUS_BUSY, a->io[i].time);
}

static void depart(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    itl_t *itl = &a->itl[io->itl];
    port_t *port = &a->port[itl->port];
    port->outstanding--;
    itl->outstanding--;
    if (a->state->lun_limits) a->volume[itl->volume].outstanding--;
    if (a->state->host_limits) quotas_give(a, io->itl);
    if (io->epoch < port->drop_epoch) {
        port->dropped++;
    } else if (io->epoch != port->epoch) {
        if (!is_aborted(io)) respond_for_another(a, i);
    } else if (io->sense >= ANSWER_STATUS) {
        respond_status(a, i);
    } else {
        int failed = io->sense != 0;
        if (failed) count_check(a, itl, io);
        else itl->good++;
        wide_add(&a->histogram[io->itl], a->chunk, &a->state->chunk_used,
                 (uint64_t)(io->time - io->arrival_ns));
        respond(a, i, failed ? STATUS_CHECK : STATUS_GOOD, io->time);
        completion_t *record = &a->out[a->state->out_end - 1];
        if (failed) record->cause = cause_of(itl, io);
        if (failed && a->state->access && tells_of_access(io->sense))
            record->first_data_ns = access_report(a, itl, io->time);
        if (!failed && a->state->hints)
            record->cause = hint_of(port->outstanding, owns(&a->volume[itl->volume], port));
    }
    release(a, i);
}

static void refuse(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    port_t *port = &a->port[a->itl[io->itl].port];
    if (io->epoch < port->drop_epoch) port->dropped++;
    else respond(a, i, (uint8_t)io->sense, io->time);
    release(a, i);
}

#endif
