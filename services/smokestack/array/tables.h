/* The array's tables, one X-macro each: the C struct and the NumPy dtype come from one list. */
#ifndef SMOKESTACK_ARRAY_TABLES_H
#define SMOKESTACK_ARRAY_TABLES_H

#include "smokestack/faults.h"
#include "smokestack/notes.h"

/* One row: clocks, cursors and settings of the whole array. */
#define STATE_FIELDS(F)                                                                        \
    F(int64_t, until_ns)     /* windows have run to here, in the submitter's time */           \
    F(int64_t, forward_ns)   /* least forward latency over the ports */                        \
    F(int64_t, return_ns)    /* least return latency over the ports */                         \
    F(int64_t, lookahead_ns) /* the tree's L */                                                \
    F(uint64_t, seed)                                                                          \
    F(uint64_t, page_count)   /* mapped pages of all volumes and snapshots */                  \
    F(uint64_t, share_count)  /* pages of the pools that more than one of them may have */     \
    F(uint64_t, snapshot_count) /* snapshots that there are */                                 \
    F(uint64_t, page_pending) /* most pages that accepted writes may still map */              \
    F(uint64_t, event_count)  /* number of the newest event */                                 \
    F(uint64_t, block_count)  /* blocks that have a value */                                   \
    F(uint64_t, block_low)    /* none with a key below it has had one ... */                   \
    F(uint64_t, block_high)   /* ... nor above it, since there were none */                    \
    F(uint64_t, copy_blocks) /* most that accepted copies may still give a value */            \
    F(uint64_t, delta_count)  /* changes of the page map since they were last taken */         \
    F(uint64_t, delta_kept)   /* whether anybody takes them; else none is noted */             \
    F(uint32_t, io_free)      /* head of the free list through io.next */                      \
    F(uint32_t, io_free_count)                                                                 \
    F(uint32_t, inbox_count) /* arrivals in order, not yet processed */                        \
    F(uint32_t, out_start)   /* first completion not yet given to the submitter */             \
    F(uint32_t, out_end)                                                                       \
    F(uint32_t, out_disorder) /* set when completions wait out of order */                     \
    F(uint32_t, itl_count)                                                                     \
    F(uint32_t, note_count)                                                                    \
    F(uint32_t, caching) /* some controller's cache has a size: writes are destaged */         \
    F(uint32_t, destages) /* rows of io that are no commands, but destaging */                 \
    F(uint32_t, hints) /* whether answers tell its vendor's host software of ports */          \
    F(uint32_t, unpowered) /* the whole array, by a fault */                                   \
    F(int64_t, non_optimized_ns) /* asymmetric access: what the longer way costs */            \
    F(int64_t, transition_ns)    /* ... how long a volume takes to change its owner */         \
    F(uint32_t, access)          /* as specs.Access; 0: symmetric */                           \
    F(uint32_t, port_count)                                                                    \
    F(uint32_t, lun_limits) /* some volume has had a limit: their commands are counted */      \
    F(uint32_t, host_limits) /* so has some host */                                            \
    F(uint32_t, chunk_used) /* chunks of histograms; the first stands for none */              \
    F(uint32_t, explicit_access) /* hosts may move volumes */                                   \
    F(uint32_t, read_caches) /* some controller's read cache has a size */                     \
    F(uint32_t, copies)   /* accepted, and not at their controller yet */                      \
    F(uint32_t, compared) /* there was ever a COMPARE AND WRITE */                             \
    F(uint32_t, padding)

#define PORT_FIELDS(F)                                                                         \
    F(int64_t, rx_free_ns) /* when the receiving side is next idle */                          \
    F(int64_t, tx_free_ns)                                                                     \
    F(int64_t, command_ns)                                                                     \
    F(int64_t, refusal_ns)                                                                     \
    F(int64_t, ns_per_mib)                                                                     \
    F(int64_t, forward_ns)                                                                     \
    F(int64_t, return_ns)                                                                      \
    F(uint32_t, controller)                                                                    \
    F(uint32_t, queue_limit)                                                                   \
    F(uint32_t, outstanding)                                                                   \
    F(uint32_t, epoch) /* counts losses of its link, or of what served it */                   \
    F(uint16_t, up)                                                                            \
    F(uint16_t, disabled) /* by an administrator; a fault that ends does not undo it */        \
    F(uint32_t, faults)   /* the chain of rules in force on it; 0: none */                     \
    F(uint64_t, commands)                                                                      \
    F(uint64_t, task_set_full)                                                                 \
    F(uint64_t, busy)                                                                          \
    F(uint64_t, dropped) /* commands and responses lost to a port that was down */             \
    F(uint64_t, rx_bytes)                                                                      \
    F(uint64_t, tx_bytes)                                                                      \
    F(uint32_t, wire) /* the port whose wire carries it: itself, or who has taken it over */   \
    F(uint32_t, drop_epoch) /* responses of an older one are lost ... */                       \
    F(uint32_t, lost_epoch) /* ... and so is what of an older one waits for the controller */  \
    F(uint32_t, home)  /* its own controller: its target port group */                         \
    F(uint64_t, handed) /* commands lost with a controller or a wire that was taken over */    \
    F(uint64_t, target_resets)                                                                 \
    F(uint32_t, hung)  /* it takes commands and answers none */                                \
    F(uint32_t, hang_refusals) /* so many in a row make it hang; 0: none do */                 \
    F(uint64_t, refused_at)    /* what `commands` was when it last refused one */              \
    F(uint64_t, refused_in_a_row)                                                              \
    F(uint64_t, padding_0)

#define CONTROLLER_FIELDS(F)                                                                   \
    F(int64_t, read_ns)                                                                        \
    F(int64_t, write_ns)                                                                       \
    F(uint64_t, hit_threshold) /* a draw below it is a cache hit */                            \
    F(uint16_t, hit_always)                                                                    \
    F(uint16_t, write_back)                                                                    \
    F(uint32_t, core_base)                                                                     \
    F(uint32_t, core_count)                                                                    \
    F(uint32_t, faults)                                                                        \
    F(uint64_t, hits)                                                                          \
    F(uint64_t, misses)                                                                        \
    F(uint64_t, busy_ns)                                                                       \
    F(int64_t, mirror_ns)      /* until the partner has a write, too */                        \
    F(uint64_t, cache_bytes)   /* room for dirty data; 0: endless, and never destaged */       \
    F(uint64_t, dirty_bytes)   /* written, and not on the media yet */                         \
    F(uint64_t, destaged_bytes)                                                                \
    F(uint64_t, forced)        /* writes that found no room and went to the media */           \
    F(uint32_t, state)         /* as specs.ControllerState */                                  \
    F(uint16_t, disabled)      /* by an administrator */                                       \
    F(uint16_t, caches_reads)  /* its read cache has a size */                                 \
    F(uint64_t, padding_0)                                                                     \
    F(uint64_t, padding_1)

#define POOL_FIELDS(F)                                                                         \
    F(uint64_t, page_bytes)                                                                    \
    F(uint64_t, capacity_pages)                                                                \
    F(uint64_t, allocated_pages) /* each counted once, however many have it */                 \
    F(uint64_t, snapshot_pages)  /* of those, the ones that only snapshots have */             \
    F(uint64_t, copied_pages)    /* writes' shared pages that took a new one */                \
    F(uint64_t, next_page) /* physical page numbers are handed out in order, never again */    \
    F(uint64_t, failures)  /* writes refused for want of space */                              \
    F(uint64_t, exhausted) /* number of the event that says so; 0 until a write is refused */  \
    F(uint64_t, limit_pages)  /* most it hands out: its capacity, or a limit below */          \
    F(uint64_t, room_pages)   /* handed out in steps, and not yet written */                   \
    F(uint64_t, grown_pages)  /* what it has drawn so far, where it grows */                   \
    F(uint64_t, growth_pages) /* by which it does; 0: it has all from the start */             \
    F(uint64_t, raw_page_bytes) /* that a page of growth takes of the array's disks */         \
    F(uint64_t, step_pages)   /* a volume's first step; 0: page by page */                     \
    F(uint64_t, step_most_pages)                                                               \
    F(int64_t, step_window_ns) /* a step used up sooner makes the next one larger */           \
    F(uint64_t, warning_pages) /* in use that warn; all bits: never */                         \
    F(uint64_t, conservation_pages) /* free, at which it slows down */                         \
    F(uint64_t, emergency_pages)    /* free, at which it takes no write */                     \
    F(int64_t, conservation_ns)     /* longer that a write takes that needs pages then */      \
    F(uint64_t, warned)     /* number of the event; 0: armed */                                \
    F(uint64_t, conserving) /* number of the event; 0: it does not */                          \
    F(uint64_t, warnings)                                                                      \
    F(uint64_t, growths)                                                                       \
    F(uint64_t, steps)                                                                         \
    F(uint32_t, out_of_space) /* what happens then: specs.py */                                \
    F(uint32_t, emergency)                                                                     \
    F(uint32_t, offline_count) /* volumes that are for want of space */                        \
    F(uint32_t, watched) /* whether there is anything to warn of */                            \
    F(int64_t, media_ns)                                                                       \
    F(int64_t, media_write_ns)                                                                 \
    F(int64_t, media_sequential_ns)                                                            \
    F(uint32_t, media_varies)  /* not every access takes `media_ns` */                         \
    F(uint32_t, media_follows) /* ... for one may follow its disk's last one */                \
    F(uint32_t, exponential)                                                                   \
    F(uint32_t, disk_base)                                                                     \
    F(uint32_t, disk_count)                                                                    \
    F(uint32_t, faults)                                                                        \
    F(uint64_t, overdraft_pages) /* that a volume's steps may reserve beyond its size */       \
    F(uint32_t, drive_group) /* whose raw space it draws */                                    \
    F(uint32_t, padding)                                                                       \
    F(uint64_t, media_busy_ns)

/* A volume, or a snapshot of one: it has pages, but no initiator reaches it. */
#define VOLUME_FIELDS(F)                                                                       \
    F(uint64_t, capacity_bytes)                                                                \
    F(uint64_t, allocated_pages) /* those that are mapped, shared ones included */             \
    F(uint64_t, first_page)      /* no page below it was ever mapped */                        \
    F(uint64_t, last_page)       /* none above it */                                           \
    F(uint32_t, pool)                                                                          \
    F(uint8_t, valid)                                                                          \
    F(uint8_t, zero_detect) /* as specs.ZeroDetect */                                          \
    F(uint16_t, thick) /* whether its room is that of all its pages without one */             \
    F(uint32_t, faults)                                                                        \
    F(uint16_t, is_snapshot)                                                                   \
    F(uint16_t, task_aborted_status) /* TAS: other nexuses' aborted commands are answered */   \
    F(uint64_t, offline)         /* number of the event; 0: it is not */                       \
    F(uint64_t, room_pages)      /* of its step, not yet written; or of all of it: thick */    \
    F(uint64_t, step_pages)      /* size of its last step */                                   \
    F(int64_t, step_ns)          /* when that began */                                         \
    F(uint32_t, first_snapshot)  /* row + 1 of the newest; 0: none */                          \
    F(uint32_t, next_snapshot)                                                                 \
    F(uint64_t, stale)           /* a snapshot's: number of the event */                       \
    F(uint32_t, first_extent) /* row + 1 of its newest, where these lie; 0: no place yet */    \
    F(uint32_t, unit)  /* its row of the unit table; 0: never exported */                      \
    F(uint32_t, queue_limit)     /* commands that it takes, of all nexuses; 0: no limit */     \
    F(uint32_t, outstanding)     /* ... and has; counted only where `lun_limits` is set */     \
    F(int64_t, moving_until_ns)  /* when its last change of owner is over */                   \
    F(uint32_t, owner) /* 1 more than the row of the controller that owns it; 0: all do */     \
    F(uint32_t, moved) /* number of the event that moved it last */

/* What hosts have done to a volume as a logical unit.  A volume gets a row when it is exported for
 * the first time; row 0 is nobody's. */
#define UNIT_FIELDS(F)                                                                         \
    F(uint64_t, reserved)       /* number of the event that did it; 0: it is not */            \
    F(uint64_t, unmaps)         /* UNMAP commands */                                           \
    F(uint64_t, unmapped_pages) /* that it gave up by those, and by WRITE SAME with the bit */ \
    F(uint64_t, write_sames)                                                                   \
    F(uint64_t, zero_writes)    /* commands whose zeros it detected ... */                     \
    F(uint64_t, zero_pages)     /* ... and the pages that were not written for that */         \
    F(uint64_t, copies)         /* EXTENDED COPY commands that had the space ... */            \
    F(uint64_t, copied_bytes)   /* ... and what they were to copy */              \
    F(uint64_t, compares)       /* COMPARE AND WRITE commands ... */                           \
    F(uint64_t, miscompares)    /* ... that did not find what they expected */

#define ITL_FIELDS(F)                                                                          \
    F(uint32_t, volume)                                                                        \
    F(uint32_t, port)                                                                          \
    F(uint8_t, valid)                                                                          \
    F(uint8_t, excluded) /* from what it is: bits, as reservations.py has them */              \
    F(uint16_t, attentions) /* those that wait to be told, a bit each */                       \
    F(uint32_t, outstanding)                                                                   \
    F(uint64_t, reads)                                                                         \
    F(uint64_t, writes)                                                                        \
    F(uint64_t, read_bytes)                                                                    \
    F(uint64_t, write_bytes)                                                                   \
    F(uint64_t, good)                                                                          \
    F(uint64_t, check_condition)                                                               \
    F(uint64_t, out_of_range) /* of those, by sense: 5/21/00 */                                \
    F(uint64_t, no_unit)      /* 5/25/00 */                                                    \
    F(uint64_t, no_space)     /* 7/27/07 */                                                    \
    F(uint64_t, media_error)    /* 3/11/00 */                                                  \
    F(uint64_t, target_failure) /* 4/44/00 */                                                  \
    F(uint64_t, hidden)       /* number of the event that made it invalid */                   \
    F(uint64_t, task_set_full)                                                                 \
    F(uint64_t, busy)

/* A command in the array: one cache line. */
#define IO_FIELDS(F)                                                                           \
    F(int64_t, time) /* of its next event */                                                   \
    F(uint64_t, id)                                                                            \
    F(uint64_t, lba) /* after the controller: the pool's page, or what made it fail */          \
    F(int64_t, arrival_ns)                                                                     \
    F(uint64_t, first_data_ns)                                                                 \
    F(uint32_t, length)                                                                        \
    F(uint32_t, itl)                                                                           \
    F(uint32_t, next)                                                                          \
    F(uint32_t, sense) /* before the controller: flags << 24 | pages that it may map at most */ \
    F(uint32_t, epoch) /* the port's, at arrival; with a mark once it is aborted */            \
    F(uint16_t, attempt)                                                                       \
    F(uint8_t, op)                                                                             \
    F(uint8_t, kind)

/* Task management at one ITL. */
#define TASK_FIELDS(F)                                                                         \
    F(uint64_t, abort_tasks)  /* ABORT TASK that it was asked for */                           \
    F(uint64_t, lun_resets)   /* LOGICAL UNIT RESET that it was asked for */                   \
    F(uint64_t, aborted)      /* commands that were ended, by whomever */                      \
    F(uint64_t, task_aborted) /* of those, the ones that were answered TASK ABORTED */

/* A code of unit attention at one ITL, ATTENTION_ROWS of them for each. */
#define ATTENTION_FIELDS(F)                                                                    \
    F(uint64_t, cause) /* number of the event that established it last */                      \
    F(uint64_t, told)  /* commands that were answered with it */

/* Where pages of a full volume lie before they are written: from one on, one behind the other. */
#define EXTENT_FIELDS(F)                                                                       \
    F(uint64_t, page)                                                                          \
    F(uint64_t, physical) /* page of the pool */                                               \
    F(uint64_t, next)     /* row + 1 of the one before, of lower pages; 0: none */

/* A controller's read cache; a row for each controller. */
#define READ_CACHE_FIELDS(F)                                                                   \
    F(uint64_t, block_bytes)                                                                   \
    F(uint64_t, slot_base)                                                                     \
    F(uint64_t, slot_count) /* blocks that it has room for; 0: reads hit by chance */          \
    F(uint64_t, index_base)                                                                    \
    F(uint64_t, index_mask)                                                                    \
    F(uint64_t, used) /* slots taken so far: none is given back */                             \
    F(uint64_t, hand) /* the slot that is looked at next */                                    \
    F(uint64_t, evictions)

/* When a controller's write cache destages; a row for each controller. */
#define DESTAGE_FIELDS(F)                                                                      \
    F(uint64_t, low_bytes)                                                                     \
    F(uint64_t, high_bytes)                                                                    \
    F(uint64_t, waiting_bytes) /* dirty, and not on its way to the media */                    \
    F(uint64_t, flushes)       /* times that more was dirty than the high mark */              \
    F(uint32_t, marked)        /* it has marks; else what is dirty never waits */              \
    F(uint32_t, flushing)      /* until no more is dirty than the low mark */                  \
    F(uint32_t, drains)        /* it keeps nothing: it is down, or writes through */           \
    F(uint32_t, padding)

/* Rows of io in a line, as 1 more than they are; 0: nobody. */
#define LINE_FIELDS(F)                                                                         \
    F(uint32_t, first)                                                                         \
    F(uint32_t, last)

#define READ_SLOT_FIELDS(F)                                                                    \
    F(uint64_t, key) /* (pool + 1) << 48 | block of the pool */                                \
    F(uint64_t, marked) /* hit since the hand passed */

/* What a host has in the array, or at one of its ports; counted only where `host_limits` is set. */
#define QUOTA_FIELDS(F)                                                                        \
    F(uint32_t, queue_limit) /* commands that it may have; 0: any number */                    \
    F(uint32_t, outstanding)                                                                   \
    F(uint64_t, refused) /* commands turned away by this limit */

/* The quotas that a nexus counts for: its host's in the array, and at its port. */
#define QUOTAS_OF_FIELDS(F)                                                                     \
    F(uint32_t, host)                                                                          \
    F(uint32_t, at_port)

/* One mapped page in an open-addressing table; key 0 is an empty place. */
#define PAGE_FIELDS(F)                                                                         \
    F(uint64_t, key) /* (volume + 1) << 40 | page */                                           \
    F(uint64_t, physical) /* page of the pool; its highest bit: it may be shared */
/* (A row of the share table: its key is (pool + 1) << 40 | page of the pool, and in place of
 * `physical` it counts who has the page, volumes << 32 | snapshots.  Of the table of blocks: its
 * key is (volume + 1) << 41 | block, and in place of `physical` stands the block's value.) */

DECLARE_STRUCT(array_state_t, STATE_FIELDS)
DECLARE_STRUCT(port_t, PORT_FIELDS)
DECLARE_STRUCT(controller_t, CONTROLLER_FIELDS)
DECLARE_STRUCT(pool_t, POOL_FIELDS)
DECLARE_STRUCT(volume_t, VOLUME_FIELDS)
DECLARE_STRUCT(unit_t, UNIT_FIELDS)
DECLARE_STRUCT(itl_t, ITL_FIELDS)
DECLARE_STRUCT(io_t, IO_FIELDS)
DECLARE_STRUCT(attention_t, ATTENTION_FIELDS)
DECLARE_STRUCT(extent_t, EXTENT_FIELDS)
DECLARE_STRUCT(read_cache_t, READ_CACHE_FIELDS)
DECLARE_STRUCT(destage_t, DESTAGE_FIELDS)
DECLARE_STRUCT(line_t, LINE_FIELDS)
DECLARE_STRUCT(read_slot_t, READ_SLOT_FIELDS)
DECLARE_STRUCT(quota_t, QUOTA_FIELDS)
DECLARE_STRUCT(quotas_of_t, QUOTAS_OF_FIELDS)
DECLARE_STRUCT(task_t, TASK_FIELDS)
DECLARE_STRUCT(page_t, PAGE_FIELDS)

/* What the kernel notes; array/inventory.py has the same numbers. */
enum { NOTE_POOL_EXHAUSTED = 1, NOTE_FAULT_EXHAUSTED = 2, NOTE_POOL_SPACE_AVAILABLE = 3,
       NOTE_POOL_GREW = 4, NOTE_POOL_WARNING = 5, NOTE_POOL_CONSERVING = 6, NOTE_POOL_EASED = 7,
       NOTE_VOLUME_OFFLINE = 8, NOTE_VOLUME_ONLINE = 9, NOTE_SNAPSHOT_STALE = 10,
       NOTE_TRESPASS = 20, NOTE_LUN_RESET = 21, NOTE_TARGET_RESET = 22,
       NOTE_PORT_HUNG = 23 };

/* What a nexus is kept from, as in reservations.py. */
enum { EXCLUDED_WRITES = 1, EXCLUDED_ALL = 2, /* by a reservation */
       READ_ONLY = 4 /* by its export */ };

/* What a volume does with zeros, as in specs.py. */
enum { ZEROS_WRITTEN = 1, ZEROS_SKIPPED = 2, ZEROS_FREED = 3 };

/* What a pool does that has run out, as in specs.py. */
enum { FULL_FAILS = 1, FULL_OFFLINE = 2, FULL_BUSY = 3, FULL_STALES = 4, FULL_CONSERVES = 5 };

/* In place of a sense: a status that is not CHECK CONDITION. */
#define ANSWER_STATUS 0xFF0000u
#define ANSWER_BUSY 0xFF0008u
#define ANSWER_CONFLICT 0xFF0018u

/* Faults that hit single commands; array/faults.py has the same numbers. */
enum { FAULT_TASK_SET_FULL = 1, FAULT_CONTROLLER_SLOW = 2, FAULT_COMMAND_FAILED = 3,
       FAULT_MEDIA_SLOW = 4, FAULT_MEDIA_ERROR = 5, FAULT_NOT_READY = 6 };

#define ATTENTION_ROWS 20 /* of each ITL: the codes of attentions.h, with room for more */

_Static_assert(sizeof(io_t) == 64, "a command is one cache line");
_Static_assert(sizeof(volume_t) == 128, "a volume is two");
_Static_assert(sizeof(controller_t) == 128, "so is a controller");
_Static_assert(sizeof(port_t) == 192, "a port is three");
_Static_assert(sizeof(itl_t) == 128, "a nexus is two");

/* At one instant events are taken in this order: what leaves before what arrives. */
enum { DESTAGED = 0, DEPART = 1, REFUSE = 2, TX = 3, MEDIA = 4, CTRL = 5, TASK = 6, ARRIVE = 7,
       IDLE = 8, NO_COMMAND = 9 /* of a row that is free */ };

#define OP_DESTAGE 0xFF /* of a row that is no command: dirty data on its way to the media */

#endif
