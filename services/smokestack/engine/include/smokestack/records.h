/* The records that cross service borders, as in engine/records.py (a test compares the two). */
#ifndef SMOKESTACK_RECORDS_H
#define SMOKESTACK_RECORDS_H

#include <stdint.h>

typedef struct {
    int64_t time;
    uint64_t id;
    uint64_t lba;
    uint32_t length;
    uint32_t nexus;
    uint32_t vm;
    uint16_t attempt;
    uint8_t op;
    uint8_t flags;
} submission_t;

typedef struct {
    int64_t time;
    uint64_t id;
    uint64_t array_ns;
    uint64_t first_data_ns;
    uint32_t nexus;
    uint32_t sense;
    uint16_t attempt;
    uint8_t status;
    uint8_t kind;
    uint32_t cause; /* number of the event that explains a failure; 0: none known */
} completion_t;

typedef struct {
    int64_t time_ns;
    uint64_t lba;
    uint32_t length;
    uint8_t op;
    uint8_t pad[3];
} trace_record_t;

_Static_assert(sizeof(submission_t) == 40, "a submission is 40 bytes on the wire");
_Static_assert(sizeof(completion_t) == 48, "a completion is 48 bytes on the wire");
_Static_assert(sizeof(trace_record_t) == 24, "a trace record is 24 bytes");

enum { OP_TEST_UNIT_READY = 0x00, OP_READ = 0x28, OP_WRITE = 0x2A, OP_UNMAP = 0x42,
       OP_COPY = 0x83, OP_COMPARE_AND_WRITE = 0x89, OP_WRITE_SAME = 0x93 };
enum { FLAG_ZEROS = 0x01, FLAG_UNMAP = 0x08, FLAG_SET_GROUPS = 0x80 }; /* as records.Flag */
/* A copy's lba says from where and to where, in MiB: source << 27 | destination. */
#define COPY_UNIT_BLOCKS 2048u
#define COPY_PLACE_BITS 27
/* With this bit in its vm it reads from the nexus in the other bits, not from its own; what is
 * below may have no such nexus, and says so. */
#define COPY_FROM 0x80000000u
#define COPY_NOWHERE 0x7fffffffu
/* The flags of a COMPARE AND WRITE: values from 0 to 7. */
#define COMPARE_EXPECTED(flags) ((flags) & 7u)
#define COMPARE_NEW(flags) ((flags) >> 3 & 7u)
/* Task management, in place of a command: above what SCSI gives operation codes to. */
enum { OP_TASK_MANAGEMENT = 0xF0, OP_ABORT_TASK = 0xF1, OP_LUN_RESET = 0xF5,
       OP_TARGET_RESET = 0xF6 };
#define RESET_ATTEMPT 0xFFFFu /* of a reset, which is of no command */
enum { KIND_RESPONSE = 0, KIND_HOST = 1, KIND_EVENT = 2, KIND_TASK = 3 };
enum { STATUS_GOOD = 0x00, STATUS_CHECK = 0x02, STATUS_BUSY = 0x08,
       STATUS_RESERVATION_CONFLICT = 0x18, STATUS_TASK_SET_FULL = 0x28,
       STATUS_TASK_ABORTED = 0x40 };
enum { HOST_NO_CONNECT = 0x01, HOST_TIME_OUT = 0x03, HOST_PARITY = 0x06 };
enum { EVENT_PATH_DOWN = 1, EVENT_PATH_UP = 2, EVENT_LINK_DOWN = 16, EVENT_LINK_UP = 17 };
enum {
    SENSE_NONE = 0,
    SENSE_TRANSITION = 0x02040A, /* asymmetric access state transition */
    SENSE_STANDBY = 0x02040B,
    SENSE_UNAVAILABLE = 0x02040C,
    SENSE_UNRECOVERED_READ = 0x031100,
    SENSE_LU_FAILURE = 0x043E01,
    SENSE_INTERNAL_FAILURE = 0x044400,
    SENSE_WRITE_PROTECTED = 0x072700,
    SENSE_SPACE_ALLOCATION_FAILED = 0x072707,
    SENSE_LBA_OUT_OF_RANGE = 0x052100,
    SENSE_LU_NOT_SUPPORTED = 0x052500,
    SENSE_POWER_ON = 0x062900,
    SENSE_LUN_RESET = 0x062903,
    SENSE_NEXUS_LOSS = 0x062907,
    SENSE_MODE_CHANGED = 0x062A01,
    SENSE_RESERVATIONS_PREEMPTED = 0x062A03,
    SENSE_RESERVATIONS_RELEASED = 0x062A04,
    SENSE_REGISTRATIONS_PREEMPTED = 0x062A05,
    SENSE_ACCESS_CHANGED = 0x062A06,
    SENSE_TRANSITION_FAILED = 0x062A07,
    SENSE_CAPACITY_CHANGED = 0x062A09,
    SENSE_SOFT_THRESHOLD = 0x063807,
    SENSE_INQUIRY_CHANGED = 0x063F03,
    SENSE_IDENTIFIER_CHANGED = 0x063F05,
    SENSE_LUNS_CHANGED = 0x063F0E,
    SENSE_COPY_FAILED = 0x0A0D01,
    SENSE_COPY_UNREACHABLE = 0x0A0D02,
    SENSE_MISCOMPARE = 0x0E1D00
};
enum { STREAM_WORKLOAD = 1, STREAM_THINK = 2, STREAM_ARRIVAL = 3, STREAM_MEDIA = 4,
       STREAM_FAULT = 5 };

#define BLOCK_BYTES 512u
#define SLOT_SHIFT 40
#define NEVER_NS INT64_MAX
#define NIL 0xffffffffu

#endif
