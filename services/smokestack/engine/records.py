"""The fixed-layout records that cross service borders, little-endian.

A batch is a NumPy structured array of these; in a process it passes by reference, between
processes as raw bytes.  The C twins stand in ``include/smokestack/records.h``; a test compares
the two layouts.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

SUBMISSION: Final = np.dtype(
    [
        ("time", "<i8"),
        ("id", "<u8"),
        ("lba", "<u8"),
        ("length", "<u4"),
        ("nexus", "<u4"),
        ("vm", "<u4"),
        ("attempt", "<u2"),
        ("op", "u1"),
        ("flags", "u1"),
    ]
)
COMPLETION: Final = np.dtype(
    [
        ("time", "<i8"),
        ("id", "<u8"),
        ("array_ns", "<u8"),
        ("first_data_ns", "<u8"),
        ("nexus", "<u4"),
        ("sense", "<u4"),
        ("attempt", "<u2"),
        ("status", "u1"),
        ("kind", "u1"),
        ("cause", "<u4"),
    ]
)
HEADER: Final = np.dtype(
    [
        ("until", "<i8"),
        ("next", "<i8"),
        ("epoch", "<u4"),
        ("sequence", "<u4"),
        ("count", "<u4"),
        ("flags", "<u4"),
    ]
)
# One command of a parsed trace; time counts from the trace's first command.
TRACE: Final = np.dtype(
    {
        "names": ["time_ns", "lba", "length", "op"],
        "formats": ["<i8", "<u8", "<u4", "u1"],
        "offsets": [0, 8, 16, 20],
        "itemsize": 24,
    }
)

BLOCK_BYTES: Final = 512
SLOT_SHIFT: Final = 40  # id = slot << 40 | sequence: the slot is a tag among outstanding I/Os
SLOTS_MAX: Final = 1 << 24
NEVER_NS: Final = (1 << 63) - 1
TIME_NS_MAX: Final = 1 << 62  # 146 years: room to add two times


class Op(IntEnum):
    """SCSI operation codes, as they stand in a submission's ``op``."""

    TEST_UNIT_READY = 0x00  # no data, no address: whether the nexus reaches a unit that is ready
    READ = 0x28
    WRITE = 0x2A
    # Gives the pages back that lie whole in `lba` and `length`; in the rest the data become zeros,
    # which takes no page.  It carries a list of ranges, of which this has one, and no data.
    UNMAP = 0x42
    # Of one block: its `flags` are what ``compared`` makes.  It carries two blocks of data.
    COMPARE_AND_WRITE = 0x89
    # WRITE SAME(16) of zeros: takes pages as a WRITE would, unless its UNMAP bit is set; it carries
    # one block of data, whatever its `length` on the medium.
    WRITE_SAME = 0x93
    # EXTENDED COPY within one array, one segment: it reads `length` at one place and writes it at
    # another, and no data cross the wire.  Its `lba` is ``copy_lba``'s, its nexus is where it
    # writes; where it reads its `vm` says, as ``copy_from`` has it.
    COPY = 0x83


COPY_UNIT_BYTES: Final = 1 << 20  # a copy's two places are multiples of this: ours, for room
COPY_PLACES: Final = 1 << 27  # so both lie within the unit's first 128 TiB


def copy_lba(source_lba: int, destination_lba: int) -> int:
    """Returns what a copy has as its ``lba``: both places, in units, rounded down."""
    unit = COPY_UNIT_BYTES // BLOCK_BYTES
    return source_lba // unit * COPY_PLACES | destination_lba // unit


COPY_FROM: Final = 1 << 31
COPY_NOWHERE: Final = COPY_FROM - 1  # to an array: what it was to be read from is not there


def copy_from(nexus: int) -> int:
    """Returns the ``vm`` of a copy that reads from another nexus than its own: of the same kind,
    a device above multipath and an I_T_L nexus below.  It is no VM's then, but its host's."""
    return COPY_FROM | nexus


class Flag(IntEnum):
    """Bits of a submission's ``flags``; the first two go with one operation each."""

    ZEROS = 0x01  # of a WRITE: its data are all zeros
    UNMAP = 0x08  # of a WRITE SAME, the bit of its CDB: pages may be given back instead
    SET_GROUPS = 0x80  # SET TARGET PORT GROUPS goes before: its volume is to be active here


VALUE_MAX: Final = 7  # of a block that COMPARE AND WRITE has set; the flags have three bits for it


def compared(expected: int, new: int) -> int:
    """Returns the ``flags`` of a COMPARE AND WRITE."""
    return expected | new << 3


class Task(IntEnum):
    """Task management functions, in the place of an operation code (SAM-5 7; codes as in iSCSI).

    Vendor specific operation codes begin at 0xC0, so none of these is one that a host sends.
    """

    # Of the command with the record's id and attempt, on its nexus.
    ABORT_TASK = 0xF1
    LOGICAL_UNIT_RESET = 0xF5  # of the nexus' logical unit; the attempt is RESET_ATTEMPT
    TARGET_RESET = 0xF6  # of every logical unit behind the nexus' port; the same


RESET_ATTEMPT: Final = 0xFFFF


class Kind(IntEnum):
    """What a completion record is: an array's answer, a host's verdict, or an event."""

    RESPONSE = 0
    HOST = 1
    EVENT = 2
    TASK = 3  # a task management function is complete


class Status(IntEnum):
    """SAM status codes (FACTS 4.1), the ``status`` of a RESPONSE."""

    GOOD = 0x00
    CHECK_CONDITION = 0x02
    BUSY = 0x08
    RESERVATION_CONFLICT = 0x18
    TASK_SET_FULL = 0x28
    TASK_ABORTED = 0x40  # by another nexus


class HostStatus(IntEnum):
    """Why a host gave up without an array's answer, the ``status`` of a HOST record."""

    NO_CONNECT = 0x01
    TIME_OUT = 0x03  # said of a path alone: its command is sent again
    PARITY = 0x06  # a frame was damaged on the way: the command is sent again
    RESET = 0x08  # what was in flight is over: who had it was lost


class AccessState(IntEnum):
    """Asymmetric access states of a target port group (FACTS 3.2), as answers carry them."""

    UNKNOWN = 0  # symmetric: nothing was said
    OPTIMIZED = 1
    NON_OPTIMIZED = 2
    STANDBY = 3
    UNAVAILABLE = 4
    TRANSITIONING = 5
    PASSIVE = 6  # standby of an active/passive array: the first command pulls the volume over


class EventCode(IntEnum):
    """What happened, the ``sense`` of an EVENT record."""

    PATH_DOWN = 1
    PATH_UP = 2
    LINK_DOWN = 16  # of a fabric; never on the wire
    LINK_UP = 17


class Sense(IntEnum):
    """Sense data as key << 16 | ASC << 8 | ASCQ (FACTS 4.3)."""

    NONE = 0
    TRANSITION = 0x02040A  # asymmetric access state transition
    STANDBY = 0x02040B
    UNAVAILABLE = 0x02040C
    UNRECOVERED_READ = 0x031100
    LU_FAILURE = 0x043E01
    INTERNAL_FAILURE = 0x044400
    WRITE_PROTECTED = 0x072700
    SPACE_ALLOCATION_FAILED = 0x072707
    LBA_OUT_OF_RANGE = 0x052100
    LU_NOT_SUPPORTED = 0x052500
    POWER_ON = 0x062900  # or reset
    LUN_RESET = 0x062903
    NEXUS_LOSS = 0x062907
    MODE_CHANGED = 0x062A01
    RESERVATIONS_PREEMPTED = 0x062A03
    RESERVATIONS_RELEASED = 0x062A04
    REGISTRATIONS_PREEMPTED = 0x062A05
    ACCESS_CHANGED = 0x062A06  # asymmetric access state
    TRANSITION_FAILED = 0x062A07  # implicit asymmetric access state transition
    CAPACITY_CHANGED = 0x062A09
    SOFT_THRESHOLD = 0x063807  # thin provisioning
    INQUIRY_CHANGED = 0x063F03
    IDENTIFIER_CHANGED = 0x063F05
    LUNS_CHANGED = 0x063F0E
    COPY_FAILED = 0x0A0D01  # third party device failure: what it copies from does not serve it
    COPY_UNREACHABLE = 0x0A0D02  # copy target device not reachable: not by this host, or not here
    MISCOMPARE = 0x0E1D00  # during verify: COMPARE AND WRITE found another value

    @property
    def text(self) -> str:
        """Key, ASC and ASCQ as people write them, e.g. "6/3F/0E"."""
        return sense_text(self)


def sense_text(sense: int) -> str:
    """Returns sense data as key/ASC/ASCQ, e.g. "6/3F/0E"."""
    return f"{sense >> 16:X}/{sense >> 8 & 0xFF:02X}/{sense & 0xFF:02X}"


class Attention(IntEnum):
    """Unit attentions, in the order in which a nexus that has several tells them.

    Power on comes first and forgets the others, as SAM-5 5.14 lets it; the order of the rest is our
    choice.  The C twin stands in ``include/smokestack/attentions.h``.
    """

    POWER_ON = 0
    LUN_RESET = 1
    NEXUS_LOSS = 2
    LUNS_CHANGED = 3
    INQUIRY_CHANGED = 4
    IDENTIFIER_CHANGED = 5
    MODE_CHANGED = 6
    RESERVATIONS_PREEMPTED = 7
    RESERVATIONS_RELEASED = 8
    REGISTRATIONS_PREEMPTED = 9
    ACCESS_CHANGED = 10
    TRANSITION_FAILED = 11
    CAPACITY_CHANGED = 12
    SOFT_THRESHOLD = 13

    @property
    def sense(self) -> Sense:
        """The sense data that tells it."""
        return Sense[self.name]
