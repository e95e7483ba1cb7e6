"""Families of thin pools under one demand: what they take, how they grow, how they run out (S8).

Two stacks for each family.  One replays a trace into a pool that is large enough: the pages that it
takes are compared with those that are counted here, from the trace's file and the page size alone.
The other has four VMs write at random until the pool has nothing left, with a snapshot of one
volume since the first second: when that is, and what becomes of the volumes, the snapshot and the
guests, is the family's own manner.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

FAMILIES = ("PLAIN", "INSERV_3PAR", "COMPELLENT", "VMAX", "HDP", "SVC", "NETAPP")
_OVERRIDES = {"INSERV_3PAR": {"growth_bytes": 8 << 30}}  # the least that its manual allows
_PAGE_BYTES = {"PLAIN": 16, "INSERV_3PAR": 16, "COMPELLENT": 2048, "VMAX": 768} | {
    "HDP": 42 << 10,
    "SVC": 256,
    "NETAPP": 4,
}  # in KiB, written down once more: what the pool says it has is compared with these
_VMS = ("v1", "v2", "v3", "v4")
_GIB = 1 << 30
_SECOND = 10**9
_RECORD = struct.Struct("<IIIHHQQ")  # vscsiStats: number, bytes, segments, opcode, version, …
_WRITES = (0x0A, 0x2A, 0x8A, 0xAA)
_MANNERS = (
    "VOLUME_OFFLINE",
    "VOLUME_SNAPSHOT_STALE",
    "POOL_CONSERVING",
    "POOL_WARNING",
    "POOL_EXHAUSTED",
)


@dataclass(frozen=True)
class Parameters:
    """How large the pools are that run out, how much is promised, and the demand on them."""

    capacity_gib: int
    volume_gib: int
    iops: int  # of each VM
    write_kib: int
    limit_s: int  # of virtual time


@dataclass(frozen=True, kw_only=True)
class _Family(Case):
    """A stack whose pool is a family's; with a trace it is replayed, without it the pool dries."""

    family: str
    trace: str
    volume_bytes: int
    parameters: Parameters


class ThinFamilies(Experiment[Parameters, _Family]):
    """Replays a trace into, and then exhausts, a pool of each family."""

    name = "thin-families"
    summary = "What each family's thin pool takes, how it grows, and when and how it runs out"
    replays: ClassVar[bool] = True
    sizes: ClassVar = {
        "small": Parameters(2, volume_gib=1, iops=2_000, write_kib=64, limit_s=60),
        "default": Parameters(24, volume_gib=12, iops=2_000, write_kib=64, limit_s=400),
    }

    def cases(self, plan: Plan[Parameters]) -> list[_Family]:
        """Returns each family with the trace, then each family with the demand."""
        trace, parameters = str(plan.trace), plan.parameters
        end = max((first + length for first, length, _ in _commands(plan.trace)), default=0)
        sizes = {trace: -(-end // _GIB) * _GIB, "": parameters.volume_gib * _GIB}
        return [
            _Family(
                seed=plan.seed,
                family=family,
                trace=replayed,
                volume_bytes=sizes[replayed],
                parameters=parameters,
            )
            for replayed in (trace, "")
            for family in FAMILIES
        ]

    def system(self, case: _Family) -> dict[str, Any]:
        """Returns one host on one array; a pool that runs out holds half of what it promises."""
        vms = _VMS[:1] if case.trace else _VMS
        enough = 2 * case.volume_bytes + 64 * _GIB
        capacity = enough if case.trace else case.parameters.capacity_gib * _GIB
        page_bytes = _PAGE_BYTES[case.family] << 10
        jobs = {"jobs": [_replay()]} if case.trace else {}
        return {
            "fabrics": ["fabric-a"],
            "arrays": [
                {
                    "name": "a1",
                    "controllers": [{"name": "c0"}],
                    "ports": [
                        {"name": f"p{n}", "controller": "c0", "fabric": "fabric-a"}
                        for n in range(2)
                    ],
                    "pools": [
                        {
                            "name": "p1",
                            "profile": case.family,
                            "capacity_bytes": capacity // page_bytes * page_bytes,
                            **_OVERRIDES.get(case.family, {}),
                        }
                    ],
                    "volumes": [
                        {"name": vm, "pool": "p1", "capacity_bytes": case.volume_bytes}
                        for vm in vms
                    ],
                    "exports": [{"volume": vm, "host": "h1"} for vm in vms],
                }
            ],
            "multipath": {"name": "m1", "qfull_retry_delay_ns": 10_000_000},
            "traces": [{"name": "t1", "file": case.trace}] if case.trace else [],
            "hosts": [
                {
                    "name": "h1",
                    "initiators": [{"name": "h1-a", "fabric": "fabric-a"}],
                    "vms": [
                        {"name": vm, "disks": [{"name": "d0", "device": f"a1.{vm}"}], **jobs}
                        for vm in vms
                    ],
                }
            ],
        }

    def workload(self, stack: Smokestack, case: _Family) -> None:
        """Has each VM write at random at a steady rate, where no trace is replayed."""
        from smokestack.client import BlockSize

        if case.trace:
            return
        sizes = [BlockSize(length_bytes=case.parameters.write_kib << 10)]
        for vm in _VMS:
            stack.hosts["h1"].vms[vm].jobs.create(
                "demand",
                disk="d0",
                iodepth=32,
                read_ratio=0,
                rate_iops=case.parameters.iops,
                block_sizes=sizes,
            )

    def run(self, stack: Smokestack, case: _Family) -> list[Row]:
        """Runs the trace to its end, or the demand until a second after the pool ran out."""
        if case.trace:
            stack.advance_until_idle()
        else:
            stack.advance(seconds=1)
            stack.array("a1").snapshots.create("s1", volume="v1")
            for _ in range(case.parameters.limit_s):
                stack.advance(seconds=1)
                if stack.pools["p1"].state == "EXHAUSTED":
                    break
            stack.advance(seconds=1)
        pool, total = stack.pools["p1"], stack.statistics()
        first = _first_events(stack)
        page_bytes = _PAGE_BYTES[case.family] << 10
        counted = _pages(Path(case.trace), page_bytes) if case.trace else None
        snapshots = list(stack.array("a1").snapshots)
        return [
            {
                "seed": case.seed,
                "family": case.family,
                "part": "trace" if case.trace else "demand",
                "page_bytes": pool.page_bytes,
                "pages": pool.allocated_bytes // page_bytes,
                "counted_pages": counted,
                "ios": total.io_count,
                "errors": total.error_count,
                "allocated_bytes": pool.allocated_bytes,
                "reserved_bytes": pool.reserved_bytes,
                "growth_events": pool.growth_count,
                "steps": pool.step_count,
                "refused_writes": pool.allocation_failure_count,
                "warning_ns": first.get("POOL_WARNING"),
                "conserving_ns": first.get("POOL_CONSERVING"),
                "exhausted_ns": first.get("POOL_EXHAUSTED"),
                "volumes_offline": sum(v.state == "OFFLINE" for v in stack.volumes),
                "snapshots_stale": sum(s.state == "STALE" for s in snapshots),
            }
        ]

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Compares pages with those counted, and families with one another."""
        traced = [row for row in rows if row["part"] == "trace"]
        dried = {row["family"]: row for row in rows if row["part"] == "demand"}
        exhausted = {f: row["exhausted_ns"] for f, row in dried.items() if row["exhausted_ns"]}
        manners = {family: _manner(row) for family, row in dried.items()}
        small, large = min(dried, key=_page_of(dried)), max(dried, key=_page_of(dried))
        grown = {f: r["growth_events"] + r["steps"] for f, r in dried.items()}
        return [
            Claim(
                "page-accounting",
                MUST_HOLD,
                "Each family's pool takes exactly the pages that are counted from the trace's file",
                figure={row["family"]: row["pages"] for row in traced},
                baseline={row["family"]: row["counted_pages"] for row in traced},
                holds=bool(traced)
                and all(row["pages"] == row["counted_pages"] > 0 for row in traced)
                and all(not row["errors"] for row in traced)
                and all(r["page_bytes"] == _PAGE_BYTES[r["family"]] << 10 for r in traced),
            ),
            Claim(
                "runs-out-sooner-with-larger-pages",
                FINDING,
                "Under one demand the pool with the largest pages runs out before the one with "
                "the smallest",
                figure=exhausted.get(large),
                baseline=exhausted.get(small),
                holds=exhausted.get(large, _NEVER) < exhausted.get(small, _NEVER),
            ),
            Claim(
                "growth-events",
                FINDING,
                "Some families grow in increments or steps, others take page by page",
                figure=grown,
                baseline=0,
                holds=0 < sum(count > 0 for count in grown.values()) < len(grown),
            ),
            Claim(
                "warned-before",
                FINDING,
                "Whoever runs out has warned before",
                figure={f: (dried[f]["warning_ns"], ns) for f, ns in exhausted.items()},
                baseline=len(exhausted),
                holds=all((dried[f]["warning_ns"] or _NEVER) < ns for f, ns in exhausted.items()),
            ),
            Claim(
                "manners",
                FINDING,
                "Families run out in different manners",
                figure=manners,
                baseline=1,
                holds=len(set(manners.values())) > 1,
            ),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws when each family warned, began to conserve, and ran out."""
        axes = figure.add_subplot()
        dried = [row for row in rows if row["part"] == "demand"]
        for at, (field, label) in enumerate(
            [("warning_ns", "warns"), ("conserving_ns", "conserves"), ("exhausted_ns", "runs out")]
        ):
            told = [(row[field] / _SECOND, n) for n, row in enumerate(dried) if row[field]]
            axes.scatter(
                [time for time, _ in told],
                [n for _, n in told],
                marker="<so"[at],
                label=label,
            )
        for n, row in enumerate(dried):
            if row["exhausted_ns"]:
                place = (row["exhausted_ns"] / _SECOND, n)
                axes.annotate(f"  {_manner(row)}", place, va="center", fontsize=8)
        labels = [f"{row['family']}\n{row['page_bytes'] >> 10} KiB" for row in dried]
        axes.set_yticks(range(len(dried)), labels)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.margins(x=0.35)
        axes.set_xlabel("virtual seconds of the same demand")
        axes.legend()


_NEVER = float("inf")


def _replay() -> dict[str, Any]:
    return {"name": "replay", "disk": "d0", "trace": "t1", "trace_mode": "CLOSED", "iodepth": 32}


def _commands(trace: Path) -> Iterator[tuple[int, int, bool]]:
    """Yields first byte, length and whether it writes, of each command of a vscsiStats trace.

    It shares no code with the services' reader; ValueError: the file has another format.
    """
    data = trace.read_bytes()
    if len(data) % _RECORD.size or data[14:16] != b"\x00\x01":
        raise ValueError(f"{trace} is no trace of vscsiStats, version 1, with 32 bytes a command")
    for _, length, _, opcode, _, block, _ in _RECORD.iter_unpack(data):
        yield block * 512, length, opcode in _WRITES


def _pages(trace: Path, page_bytes: int) -> int:
    """Counts the pages that a trace's writes touch."""
    pages: set[int] = set()
    for first, length, writes in _commands(trace):
        if writes and length:
            pages.update(range(first // page_bytes, (first + length - 1) // page_bytes + 1))
    return len(pages)


def _first_events(stack: Smokestack) -> dict[str, int]:
    """Returns when the array first told of each thing that matters here."""
    first: dict[str, int] = {}
    for event in stack.array("a1").events.find(kinds=_MANNERS):
        first.setdefault(event.kind, event.time_ns)
    return first


def _manner(row: Row) -> str:
    """Returns in a word what became of a pool's writers."""
    if not row["exhausted_ns"]:
        return "lasts"
    if row["volumes_offline"]:
        return "volumes offline"
    if row["snapshots_stale"]:
        return "snapshots stale, then writes fail"
    if row["conserving_ns"]:
        return "conserves, then no writes"
    return "writes fail" if row["errors"] else "busy"


def _page_of(rows: dict[str, Row]) -> Any:
    return lambda family: rows[family]["page_bytes"]


EXPERIMENT = ThinFamilies()
