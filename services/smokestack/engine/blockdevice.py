"""What both sides of a border speak: windows of virtual time, never one call per I/O.

An array is a BlockDevice.  Multipath is a BlockDevice over BlockDevices.  The hypervisor drives
one.  A remote service is a BlockDevice whose exchange is one round trip on a stream; where
windows are cut, and what carries them, cannot change a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .records import SUBMISSION
from .snapshot import Piece, Pieces


class IoBatch(NamedTuple):
    """The first ``count`` rows of ``records`` (dtype SUBMISSION), sorted by (time, id, attempt).

    Every time lies in [previous until, until).  The buffer belongs to the submitter and is read
    before ``exchange`` returns.
    """

    records: NDArray[np.void]
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs


NOTHING: Final = IoBatch(np.zeros(0, SUBMISSION), 0)


class Reply(NamedTuple):
    """What reaches the submitter before until + L, and when anything else can at the earliest.

    The first ``count`` rows of ``records`` (dtype COMPLETION) are sorted by (time, id, attempt)
    and valid until the next exchange.  ``next_ns`` >= until + L.
    """

    records: NDArray[np.void]
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs
    next_ns: int


@dataclass(frozen=True)
class Attachment:
    """What a driver says when it takes a device: one driver per device, a second is refused."""

    driver: str  # full name of the driving service, for messages
    epoch: int  # counts the driver's connections; messages of older epochs are fenced off
    seed: int  # the tree's seed: the device draws from it while attached
    start_ns: int  # the driver's virtual time; the device may not be ahead of it
    lookahead_ns: int  # the tree's L, at most the device's own
    power_on: bool = False  # it was lost and is found again: each nexus has that to tell


@dataclass(frozen=True)
class Nexus:
    """One addressable thing below a border: an I_T_L nexus of an array, or a host's device.

    ``index`` is what a submission's ``nexus`` holds.  Above multipath ``initiator`` is the host
    and ``target`` is empty.
    """

    index: int
    initiator: str
    target: str
    volume: str  # "a1.v1": array and volume, the device's name on every host
    lun: int
    capacity_bytes: int
    usable: bool
    identifier: str = ""  # as the unit itself reports it (INQUIRY)
    fabric: str = ""  # that joins initiator and target; empty above multipath
    vendor: str = ""  # so does it these two
    model: str = ""
    access: int = 0  # an AccessState; 0 where access is symmetric
    preferred: bool = False  # the target port group that the volume should be reached through
    group: int = 0  # number of the target port group


class BlockDevice(Protocol):
    """A thing that takes submissions and gives completions, window by window."""

    @property
    def name(self) -> str:
        """Its service's name, e.g. ``arrays/a1``."""

    @property
    def driver(self) -> str | None:
        """Full name of the service that drives it."""

    @property
    def lookahead_ns(self) -> int:
        """Least forward plus least return latency over its paths; fixed while attached."""

    @property
    def reached_ns(self) -> int:
        """The latest border that it, or anything below it, has run to: none drives it from before
        that."""

    def attach(self, attachment: Attachment) -> None:
        """Takes the device for one driver; FailedPrecondition names a driver that has it."""

    def detach(self) -> None:
        """Gives the device back."""

    def report_luns(self, initiators: Sequence[str], volume: str = "") -> tuple[Nexus, ...]:
        """Returns the nexuses that these initiators can reach, in index order, at a border.

        With a volume's name only those of it.
        """

    def exchange(self, until_ns: int, submissions: IoBatch) -> Reply:
        """Runs one window; raises PeerLost when the device is gone."""

    def snapshot(self, snapshot: str, only: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Returns the pieces of a new snapshot, its own and of all below, at a border.

        ``only`` names the parts to be saved; such pieces are for reading, not for restoring.
        """

    def stage(self, pieces: Pieces) -> None:
        """Checks its own piece and those of all below and keeps them ready; nothing changes yet."""

    def unstage(self) -> None:
        """Forgets what is staged, here and below."""

    def restore(self) -> None:
        """Puts what is staged in place, here and below; the border is then the pieces'."""


@runtime_checkable
class Returning(Protocol):
    """A device that can be lost, and found again."""

    def reconnect(self) -> None:
        """Finds the device again; Unavailable says that it is still gone, and changes nothing."""


class PeerLost(Exception):
    """The device behind a link died or broke; what was not answered is lost."""
