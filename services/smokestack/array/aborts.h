/* Task management: commands that hosts take back, one by one or all of a logical unit.
 *
 * A function comes as a record of its own, behind the commands of its port, and never waits for a
 * place: it is no task (SAM-5 7).  The port takes `command_ns` for it, as for any frame, carries it
 * out, and says that it is complete, whether there was anything to abort or not.
 *
 * An aborted command keeps its places to the end of the station that it is in, and then leaves
 * without an answer and without what was still to be done for it.  By a reset, those of other
 * nexuses are answered TASK ABORTED (40h) at once if the volume's TAS is set; if not, their hosts
 * hear of it by a unit attention alone, 6/29/03, and by their own time-outs (SAM-5 5.14, 6.3.3).
 *
 * A target reset is the sum of the resets of all units behind a port.  It is all that a port hears
 * that hangs, and ends that.
 */
#ifndef SMOKESTACK_ARRAY_ABORTS_H
#define SMOKESTACK_ARRAY_ABORTS_H

#include "answers.h"
#include "space.h"

/* Whether a row is a command that the port has taken and not answered. */
static inline int is_task(const io_t *io) {
    int inside = io->kind == CTRL || io->kind == MEDIA || io->kind == TX || io->kind == DEPART;
    return inside && io->op != OP_DESTAGE && !is_aborted(io);
}

/* A port that only refuses may be brought to hang by hosts that keep sending (FACTS 2.4): nothing
 * that is in it is answered any more, this refusal included. */
static __attribute__((noinline, cold)) void refused_again(array_t *a, uint32_t p, int64_t now) {
    port_t *port = &a->port[p];
    port->refused_in_a_row = port->commands == port->refused_at ? port->refused_in_a_row + 1 : 1;
    port->refused_at = port->commands;
    if (port->refused_in_a_row < port->hang_refusals) return;
    port->refused_in_a_row = 0;
    port->hung = 1;
    port->epoch++;
    port->drop_epoch = port->epoch;
    NOTE(a->state, a->note, .time = now, .kind = NOTE_PORT_HUNG, .subject = p,
         .detail = port->hang_refusals);
}

static void abort_io(array_t *a, uint32_t i) {
    a->io[i].epoch |= EPOCH_ABORTED;
    a->task[a->io[i].itl].aborted++;
}

/* Tells a nexus that one of its commands was aborted by another one, if it can be told. */
static void respond_aborted(array_t *a, uint32_t i, int64_t now) {
    const io_t *io = &a->io[i];
    if (io->epoch != a->port[a->itl[io->itl].port].epoch) return;
    a->task[io->itl].task_aborted++;
    respond(a, i, STATUS_TASK_ABORTED, now);
    a->out[a->state->out_end - 1].first_data_ns = 0; /* may be a draw still */
}

static void abort_task(array_t *a, const io_t *task) {
    a->task[task->itl].abort_tasks++;
    for (uint32_t i = 0; i < a->io_rows; i++) {
        const io_t *io = &a->io[i];
        if (io->id != task->id || io->attempt != task->attempt || io->itl != task->itl ||
            !is_task(io))
            continue;
        abort_io(a, i);
        return;
    }
}

/* Aborts every command of a volume; all its nexuses but the one that asked are to tell of it. */
static void reset_unit(array_t *a, const io_t *task, uint32_t volume, uint64_t cause) {
    for (uint32_t i = 0; i < a->io_rows; i++) {
        const io_t *io = &a->io[i];
        if (!is_task(io) || a->itl[io->itl].volume != volume) continue;
        if (io->itl != task->itl && a->volume[volume].task_aborted_status)
            respond_aborted(a, i, task->time);
        abort_io(a, i);
    }
    for (uint32_t itl = 0; itl < a->state->itl_count; itl++)
        if (a->itl[itl].valid && a->itl[itl].volume == volume && itl != task->itl)
            attention_establish(a, itl, ATTENTION_LUN_RESET, cause);
}

/* Aborts what a nexus has, whose registration another one has preempted (PREEMPT AND ABORT);
 * returns how many were answered. */
static uint32_t abort_nexus(array_t *a, uint32_t itl, int64_t now) {
    uint32_t answered = 0;
    for (uint32_t i = 0; i < a->io_rows; i++) {
        if (a->io[i].itl != itl || !is_task(&a->io[i])) continue;
        uint32_t before = a->state->out_end;
        if (a->volume[a->itl[itl].volume].task_aborted_status) respond_aborted(a, i, now);
        answered += a->state->out_end - before;
        abort_io(a, i);
    }
    return answered;
}

/* Resets what a port serves: each volume once, in order of its row. */
static void reset_target(array_t *a, const io_t *task, uint32_t port, uint64_t cause) {
    a->port[port].target_resets++;
    a->port[port].hung = 0;
    for (uint32_t volume = 0; volume < a->volume_rows; volume++) {
        int behind = 0;
        for (uint32_t itl = 0; itl < a->state->itl_count && !behind; itl++)
            behind = a->itl[itl].port == port && a->itl[itl].volume == volume;
        if (behind) reset_unit(a, task, volume, cause);
    }
}

/* Carries a function out, and returns the number of the event that tells of it. */
static uint64_t task_execute(array_t *a, const io_t *task) {
    const itl_t *itl = &a->itl[task->itl];
    if (task->op == OP_ABORT_TASK) {
        abort_task(a, task);
        return 0;
    }
    int unit = task->op == OP_LUN_RESET;
    uint64_t number = NOTE(a->state, a->note, .time = task->time,
                           .kind = unit ? NOTE_LUN_RESET : NOTE_TARGET_RESET,
                           .subject = unit ? itl->volume : itl->port, .detail = task->itl,
                           .cause = task->lba);
    if (unit) a->task[task->itl].lun_resets++;
    if (unit) reset_unit(a, task, itl->volume, number);
    else reset_target(a, task, itl->port, number);
    return number;
}

/* The port takes a function in. */
static __attribute__((noinline, cold)) void task_arrive(array_t *a, uint32_t i) {
    io_t *io = &a->io[i];
    port_t *port = &a->port[a->itl[io->itl].port];
    a->state->page_pending -= pages_promised(io);
    io->sense = SENSE_NONE;
    if (!port->up || (port->hung && io->op != OP_TARGET_RESET)) {
        port->dropped++;
        release(a, i);
        return;
    }
    port_t *wire = &a->port[port->wire];
    wire->rx_free_ns = (io->time > wire->rx_free_ns ? io->time : wire->rx_free_ns) +
                       wire->command_ns;
    io->epoch = port->epoch;
    schedule(a, i, wire->rx_free_ns, TASK);
}

/* ... and carries it out, unless what had taken it in is lost meanwhile. */
static __attribute__((noinline, cold)) void task_take(array_t *a, uint32_t i) {
    const io_t *io = &a->io[i];
    port_t *port = &a->port[a->itl[io->itl].port];
    if (io->epoch != port->epoch) {
        port->dropped++;
        release(a, i);
        return;
    }
    uint64_t number = task_execute(a, io);
    *out_place(a) = (completion_t){
        .time = io->time + port->return_ns,
        .id = io->id,
        .array_ns = (uint64_t)(io->time - io->arrival_ns),
        .nexus = io->itl,
        .sense = (uint32_t)io->lba, /* as it came, so that hosts tell one from another */
        .attempt = io->attempt,
        .kind = KIND_TASK,
        .cause = note_cause(number)};
    emit(a);
    release(a, i);
}

#endif
