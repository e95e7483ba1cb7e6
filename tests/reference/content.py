"""What a job's next I/O is: direction, length and place, each from its own random word."""

from __future__ import annotations

from bisect import bisect_right

from smokestack.engine.jobplan import JobPlan, Pattern
from smokestack.engine.records import Flag, Op
from tests.reference import draws

_BUCKETS = 1024  # of a zipf job's region, as many as ranks
_STRIDE = 389  # odd, so that the ranks fall on all buckets, and neighbours far apart


class Content:
    """The I/Os of one job, in the order of its counter: a trace's, or made ones."""

    def __init__(self, plan: JobPlan, seed: int, disk_bytes: int) -> None:
        self._plan = plan
        self._seed = seed
        self._region_bytes = plan.region_bytes or disk_bytes - plan.region_offset_bytes
        self._cursor = 0  # where a sequential job goes on
        self._trace = None if plan.trace is None else plan.trace.tolist()
        self._zipf = None if plan.zipf is None else [int(word) for word in plan.zipf]

    def take(self, sequence: int) -> tuple[int, int, int, int]:
        """Returns (op, flags, byte offset on the disk, length); called once for each, in order."""
        if self._trace is not None:
            _, lba, length, op = self._trace[sequence][:4]
            return op, 0, lba * 512, length
        plan = self._plan
        word = draws.words(self._seed, draws.WORKLOAD, sequence, plan.uid)
        reads = plan.read_always or word[0] < plan.read_threshold
        length = next(size for size, below in plan.block_sizes if word[1] >> 32 < below)
        offset = plan.region_offset_bytes + self._offset(length, word[2])
        if reads:
            return Op.READ, 0, offset, length
        zeros = Flag.ZEROS if word[3] < plan.zero_threshold else 0
        return plan.write_op, plan.write_flags | zeros, offset, length

    def _offset(self, length: int, word: int) -> int:
        placements = self._region_bytes // length
        if self._plan.pattern == Pattern.SEQUENTIAL:
            if self._cursor + length > self._region_bytes:
                self._cursor = 0
            offset = self._cursor
            self._cursor += length
            return offset
        if self._plan.pattern == Pattern.RANDOM:
            return draws.mulhi(word, placements) * length
        return self._zipf_index(placements, word) * length

    def _zipf_index(self, placements: int, word: int) -> int:
        """The high half of the word picks a bucket of the region, the low half a place in it."""
        assert self._zipf is not None
        high, low = word >> 32, word & 0xFFFFFFFF
        rank = min(bisect_right(self._zipf, high), _BUCKETS - 1)  # the first threshold above
        bucket = (rank * _STRIDE) % _BUCKETS
        index = (bucket * placements) >> 10
        span = (((bucket + 1) * placements) >> 10) - index or 1
        return min(index + ((low * span) >> 32), placements - 1)
