/* Multipath's tables, one X-macro each: the C struct and the NumPy dtype come from one list. */
#ifndef SMOKESTACK_MULTIPATH_TABLES_H
#define SMOKESTACK_MULTIPATH_TABLES_H

#include "smokestack/kernel.h"
#include "smokestack/faults.h"
#include "smokestack/notes.h"

#define STATE_FIELDS(F)                                                                        \
    F(int64_t, until_ns)                                                                       \
    F(int64_t, lookahead_ns) /* the tree's L */                                                \
    F(int64_t, retry_delay_ns)                                                                 \
    F(int64_t, apd_timeout_ns)                                                                 \
    F(int64_t, task_timeout_ns) /* how long an abort or a reset may take */                    \
    F(int64_t, timer_ns) /* when time itself makes something happen, at the earliest */        \
    F(int64_t, not_ready_delay_ns) /* before a command goes back to who was not ready */       \
    F(int64_t, arrays_next_ns) /* the least time that the arrays promised last */              \
    F(int64_t, target_ns)      /* until when the running exchange goes */                      \
    F(int64_t, change_ns) /* when the next change that is known acts: nothing runs beyond */   \
    F(uint32_t, array_count)                                                                   \
    F(uint32_t, device_count)                                                                  \
    F(uint32_t, hand_count) /* completions in hand: received, their time not yet come */       \
    F(uint32_t, hand_fresh) /* where those of the running exchange begin */                    \
    F(uint32_t, born_count) /* completions made here that have not reached the submitter */    \
    F(uint32_t, dispatch_rows) /* rows of the dispatch table that each array has */            \
    F(uint32_t, note_count)                                                                    \
    F(uint32_t, apd_handling) /* what happens to commands of a device in APD */                \
    F(uint32_t, batch_taken) /* of the running exchange's submissions */                       \
    F(uint32_t, out_count)   /* what the running exchange will answer, so far */               \
    F(uint32_t, stirred) /* 1: a device is; 2: and the border has come */                      \
    F(uint32_t, world_count) /* rows of the world table in use; the first stands for none */   \
    F(uint32_t, adapter_count)                                                                 \
    F(uint32_t, held_count) /* commands that wait for a place in some adapter */               \
    F(uint32_t, hand_told) /* of those in hand, how many the submitter has heard of */         \
    F(uint32_t, fabric_limits) /* a link of a fabric can hold answers up */                    \
    F(uint32_t, probing)                                                                       \
    F(uint32_t, chunk_used) /* chunks of the probe's histograms; the first stands for none */  \
    F(uint32_t, wide_chunk_used) /* and of the others */                                       \
    F(uint32_t, caring) /* some device's paths are checked */                                  \
    F(uint32_t, escalation) /* the last that is done when aborts are not answered */           \
    F(uint32_t, recovering) /* devices that are being reset */                                 \
    F(uint32_t, path_count)                                                                    \
    F(uint32_t, timeout) /* row of the time-out that commands leave with from now on */        \
    F(uint32_t, timeouts) /* some command may have one */                                      \
    F(uint64_t, seed)                                                                          \
    F(uint64_t, event_count) /* number of the newest event */

#define DEVICE_FIELDS(F)                                                                       \
    F(uint32_t, queue_head)                                                                    \
    F(uint32_t, queue_tail)                                                                    \
    F(uint32_t, queued)                                                                        \
    F(uint32_t, active)                                                                        \
    F(uint32_t, limit) /* of active: what follows from the six below */                        \
    F(uint32_t, depth) /* DQLEN now */                                                         \
    F(uint32_t, depth_configured)                                                              \
    F(uint32_t, dsnro) /* limit of the depth while two or more worlds compete */               \
    F(uint32_t, worlds_active) /* that have a command here */                                  \
    F(uint32_t, window)   /* what its latency allows, or 0 */                                  \
    F(uint32_t, mclock)   /* its worlds have shares: mclock.h chooses among them */             \
    F(uint32_t, pass)     /* number of the last choice */                                      \
    F(uint64_t, virtual_time) /* tag of what was served by shares last */                      \
    F(int64_t, wake_ns)   /* when a limit lets a command go, or 0 */                            \
    F(uint32_t, adaptive) /* the rule that moves its depth, or 0 */                            \
    F(uint32_t, world_head) /* its worlds, newest first, or NIL */                             \
    F(uint32_t, stirred) /* may send more since a change: looked at from the next border on */ \
    F(uint32_t, state) /* DEVICE_ON and so on */                                               \
    F(uint32_t, selector)                                                                      \
    F(uint32_t, order_base)                                                                    \
    F(uint32_t, path_count)                                                                    \
    F(uint32_t, preferred)    /* position in the sorted list */                                \
    F(uint32_t, current)      /* position in use, of policies that stay on one, or NIL */      \
    F(uint32_t, current_ios)  /* round robin: I/Os since the last switch */                    \
    F(uint32_t, ios_per_path) /* round robin: I/Os until the next */                           \
    F(uint32_t, recovering)   /* it is being reset, and nothing is sent */                     \
    F(uint64_t, reads)                                                                         \
    F(uint64_t, writes)                                                                        \
    F(uint64_t, read_bytes)                                                                    \
    F(uint64_t, write_bytes)                                                                   \
    F(uint64_t, errors)                                                                        \
    F(uint64_t, task_set_full)                                                                 \
    F(uint64_t, busy)                                                                          \
    F(uint64_t, retries)                                                                       \
    F(uint64_t, no_connect)                                                                    \
    F(int64_t, apd_ends_ns) /* in APD: when it times out */                                    \
    F(uint64_t, apd_count)                                                                     \
    F(uint64_t, timed_out)  /* commands that were taken back unanswered */                     \
    F(int64_t, timed_out_ns) /* when that was told last */                                     \
    F(uint64_t, pdl_count)                                                                     \
    F(uint64_t, heard) /* of the last unit attention told of: sense and cause, 32 bits each */ \
    F(uint64_t, cut_off) /* number of the event that left no usable path; 0 while there is one */

#define PATH_FIELDS(F)                                                                         \
    F(uint32_t, array)                                                                         \
    F(uint32_t, itl)                                                                           \
    F(uint32_t, device)                                                                        \
    F(uint32_t, state)                                                                         \
    F(uint32_t, disabled) /* by an administrator; a link that returns does not undo it */      \
    F(uint32_t, in_flight)                                                                     \
    F(int64_t, down_ns) /* when an event in hand takes it down, or 0 */                         \
    F(uint32_t, lost) /* its array's process is gone: no event in hand revives it */           \
    F(uint32_t, adapter) /* of its initiator */                                                \
    F(uint32_t, host_link)   /* the links that it crosses, or NIL */                           \
    F(uint32_t, trunk_link)                                                                    \
    F(uint32_t, target_link)                                                                   \
    F(uint32_t, access)    /* an AccessState; 0: symmetric */                                  \
    F(uint32_t, group)     /* its port's target port group */                                  \
    F(uint32_t, preferred) /* ... which the array would have used */                           \
    F(uint32_t, want)      /* the state that it is about to be in, or 0 */                     \
    F(uint32_t, turning)   /* ... and its policy is to hear */                                 \
    F(uint32_t, blocked) /* its transport is down, and its commands wait: transport.h */       \
    F(uint32_t, gone) /* it answered that there is no such unit: a rescan alone revives it */  \
    F(uint32_t, links_down) /* of those that it crosses */                                     \
    F(uint32_t, target_down) /* its port is, or was when a rescan asked */                     \
    F(uint64_t, in_flight_bytes)                                                               \
    F(uint64_t, dispatched)                                                                    \
    F(uint64_t, ios)                                                                           \
    F(uint64_t, bytes)                                                                         \
    F(uint64_t, errors)                                                                        \
    F(uint64_t, refused) /* TASK SET FULL or BUSY */                                           \
    F(uint64_t, failovers) /* times that the path went down with or without I/O on it */       \
    F(uint64_t, out_of_range)  /* commands answered 5/21/00: a size was not as it was said */  \
    F(uint64_t, timed_out)     /* commands that were not answered in time */                   \
    F(uint64_t, aborts)        /* ABORT TASK sent by it */                                     \
    F(uint64_t, resets)        /* of its logical unit or its target, sent by it */             \
    F(int64_t, not_ready_ns)   /* when NOT READY was answered last ... */                      \
    F(uint64_t, not_ready_ios) /* ... and what `ios` was then */                               \
    /* Over the I/Os answered by the path, ns: guest = device + kernel, queue is of kernel. */ \
    F(uint64_t, device_ns)                                                                     \
    F(uint64_t, kernel_ns)                                                                     \
    F(uint64_t, queue_ns)                                                                      \
    F(uint64_t, guest_ns)                                                                      \
    F(uint64_t, frames) /* of answers that came while no link had limits: its links' */

/* An initiator of a host: commands sent to a device take a place here, or wait for one. */
#define ADAPTER_FIELDS(F)                                                                      \
    F(uint32_t, depth) /* AQLEN */                                                             \
    F(uint32_t, active)                                                                        \
    F(uint32_t, queued)                                                                        \
    F(uint32_t, head)                                                                          \
    F(uint32_t, tail)                                                                          \
    F(uint32_t, stirred)

/* What moves a device's depth: settings, and what its rule remembers.  Two cache lines. */
#define CONTROL_FIELDS(F)                                                                      \
    F(uint32_t, rule)                                                                          \
    F(uint32_t, qfull_sample_size)                                                             \
    F(uint32_t, qfull_threshold)                                                               \
    F(uint32_t, bad)     /* refusals since the depth last changed */                           \
    F(uint32_t, good)    /* in a row, since then */                                            \
    F(uint32_t, told)    /* that it is throttled, and not yet that it is not */                \
    F(uint64_t, history) /* a bit for each answer since then, the newest lowest: refused */    \
    F(uint64_t, throttles)                                                                     \
    F(uint64_t, recoveries)                                                                    \
    F(uint64_t, hung)    /* commands refused, and taken for accepted */                        \
    F(int64_t, told_ns)  /* 1 more than when the last event was told, or 0 */                  \
    F(int64_t, congestion_threshold_ns) /* 0: latency moves nothing */                         \
    F(uint32_t, congestion_smoothing)   /* weight of the past, of 1,024 */                     \
    F(uint32_t, congestion_gain)        /* of 1,024 */                                         \
    F(uint32_t, window_min)                                                                    \
    F(uint32_t, window_max)                                                                    \
    F(uint32_t, shares)                                                                        \
    F(uint32_t, padding)                                                                       \
    F(uint64_t, window)     /* in 1/1,024 of a command */                                      \
    F(uint64_t, latency_ns) /* smoothed, of all hosts; 0: none yet */                          \
    F(uint64_t, seen_ios)   /* of the device at the last evaluation */                         \
    F(uint64_t, seen_ns)

/* A world is a VM as a device sees it: whose commands they are. */
#define WORLD_FIELDS(F)                                                                        \
    F(uint32_t, device)                                                                        \
    F(uint32_t, vm)                                                                            \
    F(uint32_t, next)                                                                          \
    F(uint32_t, outstanding) /* queued, sent or waiting to retry: active while there is any */ \
    F(uint32_t, active)      /* sent */                                                        \
    F(uint32_t, padding)                                                                       \
    F(uint64_t, ios)                                                                           \
    F(uint64_t, bytes)                                                                         \
    F(uint64_t, device_ns) /* as a path's */                                                   \
    F(uint64_t, kernel_ns)                                                                     \
    F(uint64_t, queue_ns)                                                                      \
    /* Under mClock; the tags are those that the next command gets at least. */                \
    F(uint32_t, shares)                                                                        \
    F(uint32_t, reservation_iops)                                                              \
    F(uint32_t, limit_iops)                                                                    \
    F(uint32_t, pass) /* the last choice that it was looked at for */                          \
    F(int64_t, reservation_tag)                                                                \
    F(int64_t, limit_tag)                                                                      \
    F(uint64_t, share_tag)                                                                     \
    F(uint64_t, aborts) /* ABORT TASK sent for its commands */                                 \
    F(uint64_t, padding_1)                                                                     \
    F(uint64_t, padding_2)

/* How a device selects paths: settings, and what its policy remembers.  One cache line. */
#define POLICY_FIELDS(F)                                                                       \
    F(int64_t, bytes_per_path)        /* round robin by bytes: until the next path */          \
    F(int64_t, current_bytes)         /* ... sent on this one */                               \
    F(int64_t, latency_evaluation_ns) /* latency: from one sampling to the next */             \
    F(int64_t, sampling_ns)           /* ... when the last one began, or never */              \
    F(uint32_t, latency_sample_ios)   /* ... of each path */                                   \
    F(uint32_t, repeat_count)         /* dm round robin: I/Os in a row */                      \
    F(uint32_t, repeated)             /* ... sent in a row */                                  \
    F(uint32_t, path)                 /* ... on this path */                                   \
    F(uint16_t, hst_base_weight)      /* historical service time: of 1024 */                   \
    F(uint16_t, hst_threshold_multiplier)                                                      \
    F(uint16_t, cpu_count) /* affinity: of the host */                                         \
    F(uint16_t, numa_node_count)                                                               \
    F(uint64_t, padding)

/* What policies measure of a path, and are told of it.  One cache line. */
#define MEASURE_FIELDS(F)                                                                      \
    F(uint64_t, hst)            /* historical service time, in 1/1024 ns */                    \
    F(int64_t, stale_after_ns)  /* ... when it is no longer believed */                        \
    F(int64_t, last_finish_ns)  /* ... of the path's last answer (vendor: with a hint) */      \
    F(int64_t, latency_sum_ns)  /* latency: of the samples so far */                           \
    F(int64_t, latency_ns)      /* ... mean of the last full set of samples */                 \
    F(uint64_t, cpu_mask)       /* affinity: CPUs whose commands go this way */                \
    F(uint32_t, sent)           /* latency: commands sent since sampling began */              \
    F(uint32_t, sampled)        /* ... and answered */                                         \
    F(uint32_t, others)         /* vendor: commands of others at the port, in 1/16 */          \
    F(uint16_t, relative_throughput) /* service time: 0 to 100 */                              \
    F(uint8_t, mapped)    /* affinity: the mask was given, it does not follow the paths */     \
    F(uint8_t, not_owner) /* vendor: the port's controller does not own the unit */

/* What the probe keeps of a path.  One cache line. */
#define TAP_FIELDS(F)                                                                          \
    F(uint64_t, sent)                                                                          \
    F(int64_t, sent_ns)     /* when the last command was */                                    \
    F(uint64_t, next_lba)   /* where it ended */                                               \
    F(uint64_t, sequential) /* commands that began where the one before had ended */           \
    F(int64_t, second)      /* of virtual time, that the next two are of */                    \
    F(uint64_t, longest_ns) /* exchange */                                                     \
    F(uint64_t, longest_before_ns) /* the same of the second before */                         \
    F(uint32_t, pending)                                                                       \
    F(uint32_t, pending_before)

/* What a device's software does about paths that fail: settings.  One cache line. */
#define CARE_FIELDS(F)                                                                         \
    F(int64_t, polling_ns)     /* from one check of a path to the next, at first */            \
    F(int64_t, polling_max_ns) /* ... and once it has been good for a while */                 \
    F(int64_t, check_timeout_ns)                                                               \
    F(uint32_t, checker) /* a specs.PathChecker */                                             \
    F(uint32_t, no_path_retry) /* a specs.NoPathRetry */                                       \
    F(int64_t, fast_fail_ns) /* how long a path is blocked before its commands fail; 0: not */ \
    F(int64_t, loss_ns) /* after how long without transport it is removed; 0: never */         \
    F(uint32_t, no_path_retries) /* polling intervals that commands wait for a path */         \
    F(uint16_t, error_threshold) /* failures that are not too many; 0: any are not */          \
    F(uint16_t, error_forget) /* good checks that make up for one */                           \
    F(int64_t, error_recovery_ns) /* how long a marginal path is set aside */

/* Whether a host has a volume moved back to where it should be: failback.h. */
#define FAILBACK_FIELDS(F)                                                                     \
    F(int64_t, delay_ns)                                                                       \
    F(int64_t, due_ns)  /* when the delay is over, or 0 */                                     \
    F(uint32_t, policy) /* a specs.Failback */                                                 \
    F(uint32_t, seen)   /* what was known last of the preferred group */                       \
    F(uint32_t, owed)   /* its first path has come back since the volume was there */          \
    F(uint32_t, on)     /* the group is used before others, to have the volume moved */

/* What that software knows of a path.  Two cache lines. */
#define HEALTH_FIELDS(F)                                                                       \
    F(int64_t, due_ns)      /* when its next check begins, or 0 */                             \
    F(int64_t, begun_ns)    /* when its last one did */                                        \
    F(int64_t, again_ns)    /* a check that was refused is sent again then, or 0 */            \
    F(int64_t, deadline_ns) /* when what is under way times out */                             \
    F(int64_t, interval_ns) /* between checks now */                                           \
    F(uint64_t, out)        /* id of the TEST UNIT READY of a check that is under way, or 0 */ \
    F(uint64_t, checks)     /* that were sent */                                               \
    F(uint64_t, down)       /* number of the event that took its transport down, or 0 */       \
    F(uint32_t, down_kind)  /* ... and how that is noted */                                    \
    F(uint32_t, sequence)   /* of checks */                                                    \
    F(uint16_t, attempt)                                                                       \
    F(uint8_t, tries)       /* that are left of a check */                                     \
    F(uint8_t, verdict)     /* a specs.CheckerState */                                         \
    F(uint32_t, sense)      /* with the last verdict */                                        \
    F(uint32_t, removed) /* gone for so long that the host has let go of it */                 \
    F(uint32_t, failures) /* times that it has failed, as far as not forgotten */              \
    F(int64_t, fail_ns) /* when the commands of a blocked path fail, or 0 */                   \
    F(int64_t, loss_ns) /* when it is removed, or 0 */                                         \
    F(uint32_t, head) /* commands that it holds, or NIL */                                     \
    F(uint32_t, tail)                                                                          \
    F(int64_t, recovers_ns) /* marginal: when it may be used again */                          \
    F(uint32_t, marginal) /* set aside, for it has failed too often */                         \
    F(uint32_t, forget) /* good checks until a failure is forgotten */

/* A link of a fabric, in the direction of the hosts. */
#define LINK_FIELDS(F)                                                                         \
    F(int64_t, free_ns)  /* when it has sent all that has come to it */                        \
    F(int64_t, frame_ns) /* what a frame takes; 0: never a bottleneck by itself */             \
    F(uint32_t, credits) /* buffers for frames behind it, BB_Credit */                         \
    F(uint32_t, faults)  /* the chain of rules in force that damage frames; 0: none */          \
    F(uint64_t, crc_errors)                                                                    \
    F(int64_t, hold_ns)  /* how long a switch holds frames that are to go by it; 0: no end */  \
    F(uint64_t, class3_discards) /* frames that it has held so long, and dropped */            \
    F(uint64_t, frames)                                                                        \
    F(uint64_t, credit_zero)    /* times that its frames took all buffers behind it */         \
    F(uint64_t, credit_zero_ns) /* and how long, all in all */                                 \
    F(int64_t, starved_ns)      /* until when, as far as that is known */                      \
    F(uint64_t, busy_ns)        /* that its far end took for its frames */

/* What a device has come to whose commands were not answered in time, and its reset. */
#define RECOVERY_FIELDS(F)                                                                     \
    F(uint32_t, path)        /* by which its reset went */                                     \
    F(uint32_t, function)    /* OP_LUN_RESET, OP_TARGET_RESET; 0: none is out or about to */   \
    F(uint64_t, id)          /* of the reset's record */                                       \
    F(int64_t, deadline_ns)  /* when its answer comes too late; or when it is to be sent */    \
    F(int64_t, answer_ns)    /* when the answer in hand comes, or 0 */                         \
    F(uint64_t, told)        /* number of the event that explains what is done next */         \
    F(uint64_t, aborts)      /* ABORT TASK sent */                                             \
    F(uint64_t, unanswered)  /* aborts and resets that timed out */                            \
    F(uint64_t, lun_resets)                                                                    \
    F(uint64_t, target_resets)                                                                 \
    F(uint64_t, given_up)    /* paths that not even a target reset helped */                   \
    F(uint64_t, task_aborted) /* commands that an array answered TASK ABORTED */

/* A device's paths in two orders, a row each: as discovered, and least recently used first. */
#define ORDER_FIELDS(F)                                                                        \
    F(uint32_t, sorted)                                                                        \
    F(uint32_t, used)

/* A command on its way through the host: one cache line. */
#define SLOT_FIELDS(F)                                                                         \
    F(int64_t, time) /* queued: since when; refused: rejoins its queue; answered: frees it */  \
    F(uint64_t, id)                                                                            \
    F(uint64_t, lba) /* ... and in its highest byte the flags: there is no room beside it */     \
    F(int64_t, submit_ns)                                                                      \
    F(int64_t, dispatch_ns)                                                                    \
    F(uint32_t, length)                                                                        \
    F(uint32_t, device)                                                                        \
    F(uint32_t, path)                                                                          \
    F(uint32_t, next) /* sent: row of its time-out, then word of its abort */                  \
    F(uint32_t, world)                                                                         \
    F(uint16_t, attempt)                                                                       \
    F(uint8_t, op)                                                                             \
    F(uint8_t, phase)

#define LBA_BITS 56

DECLARE_STRUCT(mp_state_t, STATE_FIELDS)
DECLARE_STRUCT(device_t, DEVICE_FIELDS)
DECLARE_STRUCT(path_t, PATH_FIELDS)
DECLARE_STRUCT(policy_t, POLICY_FIELDS)
DECLARE_STRUCT(measure_t, MEASURE_FIELDS)
DECLARE_STRUCT(adapter_t, ADAPTER_FIELDS)
DECLARE_STRUCT(world_t, WORLD_FIELDS)
DECLARE_STRUCT(control_t, CONTROL_FIELDS)
DECLARE_STRUCT(order_t, ORDER_FIELDS)
DECLARE_STRUCT(link_t, LINK_FIELDS)
DECLARE_STRUCT(tap_t, TAP_FIELDS)
DECLARE_STRUCT(slot_t, SLOT_FIELDS)
DECLARE_STRUCT(care_t, CARE_FIELDS)
DECLARE_STRUCT(failback_t, FAILBACK_FIELDS)
DECLARE_STRUCT(health_t, HEALTH_FIELDS)
DECLARE_STRUCT(recovery_t, RECOVERY_FIELDS)

static inline uint64_t lba_of(const slot_t *s) {
    return s->lba & (((uint64_t)1 << LBA_BITS) - 1);
}

_Static_assert(sizeof(slot_t) == 64, "a command is one cache line");
_Static_assert(sizeof(policy_t) == 64, "a policy is one cache line");
_Static_assert(sizeof(measure_t) == 64, "a path's measures are one cache line");
_Static_assert(sizeof(world_t) == 128, "a world is two cache lines, the first one hot");
_Static_assert(sizeof(control_t) == 128, "two cache lines");
_Static_assert(sizeof(care_t) == 64, "one cache line");
_Static_assert(sizeof(health_t) == 128, "two cache lines");

/* What the kernel notes; multipath/events.py has the same numbers. */
enum { NOTE_PATH_DOWN = 1, NOTE_PATH_UP = 2, NOTE_PATH_LOST = 3, NOTE_CUT_OFF = 4,
       NOTE_RESTORED = 5, NOTE_ATTENTION = 6, NOTE_UNIT_GONE = 7, NOTE_PDL = 8,
       NOTE_APD_TIMEOUT = 9, NOTE_TIMED_OUT = 10, NOTE_LUN_RESET = 11,
       NOTE_TARGET_RESET = 12, NOTE_RESET_DONE = 13, NOTE_GIVEN_UP = 14,
       NOTE_THROTTLED = 20, NOTE_RECOVERED = 21, NOTE_HUNG = 22,
       NOTE_ACCESS = 30, NOTE_PATH_FOUND = 31,
       NOTE_CHECKED_DOWN = 40, NOTE_CHECKED_UP = 41, NOTE_IO_FAILED = 42,
       NOTE_BLOCKED = 50, NOTE_UNBLOCKED = 51, NOTE_REMOVED = 52, NOTE_ADDED = 53,
       NOTE_MARGINAL = 54 };

/* Faults that hit single answers; multipath/faults.py has the same number. */
enum { FAULT_FRAME_DAMAGED = 1 };

enum { PHASE_FREE, PHASE_QUEUED, PHASE_IN_FLIGHT, PHASE_ANSWERED, PHASE_RETRYING,
       PHASE_HELD, /* has a path, and waits for a place in its adapter */
       PHASE_ABORTING, /* not answered in time; `time`: when its abort is not, either */
       PHASE_ABORTED,  /* ... whose answer is in hand */
       PHASE_BLOCKED, /* ... or for its path's transport */
       PHASE_MARK = 0x80 /* beside another, while a batch is checked */ };
/* As specs.PathChecker, and specs.CheckerState. */
enum { CHECKER_NONE = 1, CHECKER_TUR = 2 };
enum { FAILBACK_MANUAL = 1, FAILBACK_IMMEDIATE, FAILBACK_FOLLOWOVER, FAILBACK_DELAYED };
enum { NO_PATH_LAYER = 1, NO_PATH_FAIL = 2, NO_PATH_COUNT = 3, NO_PATH_QUEUE = 4 };
enum { CHECK_UNCHECKED = 1, CHECK_UP, CHECK_GHOST, CHECK_DOWN, CHECK_TIMEOUT, CHECK_PENDING,
       CHECK_DELAYED };
/* As specs.PathState. */
enum { PATH_ACTIVE = 1, PATH_DEAD = 2, PATH_DISABLED = 3, PATH_STANDBY = 4 };
/* As engine/records.py's AccessState. */
enum { ACCESS_STATE_OPTIMIZED = 1, ACCESS_STATE_NON_OPTIMIZED = 2, ACCESS_STATE_STANDBY = 3,
       ACCESS_STATE_UNAVAILABLE = 4, ACCESS_STATE_TRANSITIONING = 5, ACCESS_STATE_PASSIVE = 6 };
/* As specs.DeviceState and specs.ApdHandling. */
enum { DEVICE_ON = 1, DEVICE_APD = 2, DEVICE_APD_TIMEOUT = 3, DEVICE_PDL = 4 };
enum { APD_FAIL = 1, APD_UNTIL_TIMEOUT = 2, APD_HOLD = 3 };

#endif
