/* The hypervisor's tables, one X-macro each: one list makes the C struct and the NumPy dtype. */
#ifndef SMOKESTACK_HYPERVISOR_TABLES_H
#define SMOKESTACK_HYPERVISOR_TABLES_H

#include "smokestack/kernel.h"
#include "smokestack/notes.h"

#define STATE_FIELDS(F)                                                                        \
    F(int64_t, until_ns)                                                                       \
    F(int64_t, lookahead_ns) /* the tree's L */                                                \
    F(int64_t, last_completion_ns)                                                             \
    F(uint64_t, seed)                                                                          \
    F(uint64_t, ios)                                                                           \
    F(uint64_t, errors)                                                                        \
    F(uint64_t, outstanding)                                                                   \
    F(uint64_t, reactive) /* I/Os whose completion makes another, and arrivals that wait */    \
    F(uint64_t, event_count) /* number of the newest event */                                  \
    F(int64_t, change_ns) /* when the next change that is known acts: no window goes beyond */ \
    F(uint32_t, inbox_count)                                                                   \
    F(uint32_t, inbox_taken) /* of those, processed by the last window */                      \
    F(uint32_t, note_count)                                                                    \
    F(uint32_t, held_count) /* events of paused VMs, kept out of the calendar */               \
    F(uint32_t, chunk_used) /* chunks of histograms; the first stands for none */              \
    F(uint32_t, limited) /* whether any job has a limit to its commands in the guest */        \
    F(uint64_t, queued)  /* commands in guests' queues */

#define JOB_FIELDS(F)                                                                          \
    F(uint64_t, uid)                                                                           \
    F(uint64_t, issued)   /* the next I/O's sequence number */                                 \
    F(uint64_t, arrivals) /* clock-driven jobs: arrivals so far */                             \
    F(uint64_t, backlog)  /* arrivals that found no free slot */                               \
    F(uint64_t, io_limit)                                                                      \
    F(uint64_t, read_threshold)                                                                \
    F(int64_t, arrival_ns) /* of the event that waits in the calendar */                       \
    F(int64_t, base_ns)    /* when the job starts */                                           \
    F(int64_t, stop_ns)                                                                        \
    F(int64_t, broker_ns)                                                                      \
    F(int64_t, think_ns)                                                                       \
    F(int64_t, interval_ns)                                                                    \
    F(int64_t, backoff_ns)                                                                     \
    F(uint64_t, first_block)                                                                   \
    F(uint64_t, region_bytes)                                                                  \
    F(uint64_t, cursor) /* sequential: bytes from the region's start */                        \
    F(uint64_t, scale_num)                                                                     \
    F(uint64_t, scale_den)                                                                     \
    F(uint64_t, trace_base)                                                                    \
    F(uint64_t, trace_count)                                                                   \
    F(uint64_t, errors)                                                                        \
    F(uint64_t, completed)                                                                     \
    F(uint32_t, kind)                                                                          \
    F(uint32_t, pattern)                                                                       \
    F(uint32_t, nexus)                                                                         \
    F(uint32_t, vm)                                                                            \
    F(uint32_t, disk)                                                                          \
    F(uint32_t, next)                                                                          \
    F(uint32_t, slot_base)                                                                     \
    F(uint32_t, slot_count)                                                                    \
    F(uint32_t, free_count) /* slots on the job's stack */                                     \
    F(uint32_t, size_base)                                                                     \
    F(uint32_t, size_count)                                                                    \
    F(uint32_t, zipf_base)                                                                     \
    F(uint32_t, think_exponential)                                                             \
    F(uint32_t, arrival_exponential)                                                           \
    F(uint32_t, read_always)                                                                   \
    F(uint32_t, write_op) /* what it does that does not read ... */                            \
    F(uint32_t, write_flags)                                                                   \
    F(uint64_t, copy_source) /* of one that copies: where its device has it, in blocks */      \
    F(uint64_t, zero_threshold) /* ... of which a draw below this is of zeros */               \
    F(uint32_t, stopped)                                                                       \
    F(uint32_t, over)    /* clock-driven: no arrival comes any more */                         \
    F(uint32_t, retired) /* closed loop: slots that issue no more */                           \
    F(uint32_t, unlisted) /* a script's: nothing is told of its end */                         \
    F(uint32_t, last_status) /* of the newest completion: kind << 8 | status */                \
    F(uint32_t, last_sense)                                                                    \
    F(uint32_t, held)         /* its VM is paused: it issues nothing */                        \
    F(uint32_t, held_slots)   /* 1 more than the first slot whose issue waits for that to end */ \
    F(uint32_t, held_arrival) /* so does its next arrival */                                   \
    F(uint32_t, limited) /* its disk or its VM's adapter takes only so many commands */        \
    F(uint32_t, waiting) /* of those issued, in the guest's queue */

/* An I/O slot: half a cache line. */
#define SLOT_FIELDS(F)                                                                         \
    F(int64_t, time) /* of its next issue; while outstanding, of its submission */             \
    F(uint64_t, id)                                                                            \
    F(uint32_t, length)                                                                        \
    F(uint32_t, job)                                                                           \
    F(uint32_t, next)                                                                          \
    F(uint16_t, outstanding)                                                                   \
    F(uint8_t, op)                                                                             \
    F(uint8_t, owed) /* an issue that comes whatever has ended since, and why */

#define DISK_FIELDS(F)                                                                         \
    F(uint64_t, reads)                                                                         \
    F(uint64_t, writes)                                                                        \
    F(uint64_t, read_bytes)                                                                    \
    F(uint64_t, write_bytes)                                                                   \
    F(uint64_t, errors)                                                                        \
    F(uint64_t, outstanding)                                                                   \
    F(int64_t, error_ns) /* when an I/O last failed */

/* The queue in the guest of one disk, in the row of that disk; 0 is none where 1 more is held. */
#define QUEUE_FIELDS(F)                                                                        \
    F(uint32_t, depth) /* most commands under way; 0: no limit */                              \
    F(uint32_t, busy)  /* of those, places taken */                                            \
    F(uint32_t, head)  /* 1 more than the slot that has waited longest */                      \
    F(uint32_t, tail)                                                                          \
    F(uint32_t, adapter)                                                                       \
    F(uint32_t, next)   /* 1 more than the next disk of the adapter that has a queue */        \
    F(uint32_t, queued) /* commands that wait, or whose place a paused VM leaves unused */     \
    F(uint32_t, padding)

/* A VM's storage adapter. */
#define ADAPTER_FIELDS(F)                                                                      \
    F(uint32_t, depth)                                                                         \
    F(uint32_t, busy)                                                                          \
    F(uint32_t, first)  /* 1 more than a disk with a queue */                                  \
    F(uint32_t, queued) /* commands in the queues of its disks */

#define SIZE_FIELDS(F)                                                                         \
    F(uint64_t, threshold) /* up to 2^32 */                                                    \
    F(uint64_t, length)

DECLARE_STRUCT(hv_state_t, STATE_FIELDS)
DECLARE_STRUCT(job_t, JOB_FIELDS)
DECLARE_STRUCT(slot_t, SLOT_FIELDS)
DECLARE_STRUCT(disk_t, DISK_FIELDS)
DECLARE_STRUCT(size_row_t, SIZE_FIELDS)
DECLARE_STRUCT(guest_queue_t, QUEUE_FIELDS)
DECLARE_STRUCT(adapter_t, ADAPTER_FIELDS)

/* What the kernel notes; hypervisor/events.py has the same numbers. */
enum { NOTE_ERRORS_BEGAN = 1, NOTE_JOB_FINISHED = 2 };

/* A disk without failures for so long is well: the next failure is an event again. */
#define QUIET_NS 1000000000

_Static_assert(sizeof(slot_t) == 32, "two slots to a cache line");

enum { JOB_CLOSED = 1, JOB_RATE = 2, JOB_TRACE_OPEN = 3, JOB_TRACE_CLOSED = 4 };
enum { OWED_ARRIVAL = 1, OWED_PLACE = 2 }; /* a backlogged arrival's; one from the guest's queue */
enum { PATTERN_RANDOM = 1, PATTERN_SEQUENTIAL = 2, PATTERN_ZIPF = 3 };

#endif
