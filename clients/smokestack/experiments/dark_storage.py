"""Dark storage: what the storage team hands out and nobody uses, found byte for byte (S11).

Each stack lives through a history that the seed draws: volumes are created, exported, scanned,
written to; guests and exports go away again, hosts are not rescanned, snapshots and clones are
forgotten.  Every other pool draws its space as it needs it, and hands it out in steps.  A ledger of
pages beside it (plain sets, no code of the stack's) knows what the report must say, before and
after what nobody is shown has been reclaimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

_FABRIC = "fabric-a"
_PAGE_BYTES = 16 << 10
_STEP_PAGES = 24
_GROWTH_PAGES = 256
_WITH_SNAPSHOT = 0.35  # of the volumes that are in use
_WITH_CLONE = 0.5  # of those
CATEGORIES = (
    "RAW_UNCONFIGURED",
    "POOL_FREE",
    "SNAPSHOT",
    "ALLOCATED_NEVER_WRITTEN",
    "UNASSIGNED",
    "UNCLAIMED",
    "CLAIMED_NO_FS",
    "UNKNOWN",
    "IN_USE",
)
DARK = ("UNASSIGNED", "UNCLAIMED", "CLAIMED_NO_FS")
_NEAREST_TO_USE = ("IN_USE", "CLAIMED_NO_FS", "UNCLAIMED", "UNASSIGNED")
PHASES = ("before", "after")  # what nobody is shown has been reclaimed
# How a volume's history ends, and how likely that is; the likelihoods are our own.
_FATES = {
    "IN_USE": 0.5,
    "CLAIMED_NO_FS": 0.15,
    "UNCLAIMED": 0.15,
    "UNASSIGNED": 0.2,
}


@dataclass(frozen=True)
class Parameters:
    """How many stacks, and how much happens on each."""

    runs: int
    volumes: int
    volume_mib: int
    pages_max: int  # that a volume's guest writes


@dataclass(frozen=True, kw_only=True)
class _History(Case):
    parameters: Parameters
    steps: bool


@dataclass
class Ledger:
    """Who has which page: a page is a number, and a new write of a shared one takes a new page."""

    step_pages: int = 1  # in which a volume takes space
    growth_pages: int = 0  # in which the pool draws it; 0: it has all from the start
    rooms: dict[str, int] = field(default_factory=dict)  # what is left of a volume's step
    used: int = 0  # pages that volumes and snapshots have, or have room for
    drawn: int = 0
    volumes: dict[str, dict[int, int]] = field(default_factory=dict)
    snapshots: dict[str, dict[int, int]] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)  # a volume's category
    sizes: dict[str, int] = field(default_factory=dict)
    pages: int = 0

    def write(self, volume: str, places: Iterable[int]) -> None:
        """Notes that a guest has written all of these pages."""
        others = [mapped for name, mapped in self.volumes.items() if name != volume]
        shared = {
            page for mapped in [*others, *self.snapshots.values()] for page in mapped.values()
        }
        own = self.volumes[volume]
        for place in places:
            if place not in own or own[place] in shared:
                self._take(volume)
                own[place] = self.pages
                self.pages += 1

    def _take(self, volume: str) -> None:
        """Takes a page out of a volume's step, or a new step, for which the pool may grow."""
        if not self.rooms.get(volume):
            self.rooms[volume] = self.step_pages
            self.used += self.step_pages
        self.rooms[volume] -= 1
        while self.growth_pages and self.drawn < self.used:
            self.drawn += self.growth_pages

    def reclaim(self) -> None:
        """Deletes what nobody is shown, but for what has snapshots."""
        for name in [name for name, where in self.where.items() if where == "UNASSIGNED"]:
            if name not in self.snapshots:
                del self.volumes[name], self.where[name], self.sizes[name]
                self.rooms.pop(name, None)

    def physical(self, raw_bytes: int) -> dict[str, int]:
        """Returns the bytes of each category: a page is where it is nearest to use."""
        counts = dict.fromkeys(CATEGORIES, 0)
        taken: set[int] = set()
        for category in _NEAREST_TO_USE:
            mine = {
                page
                for name, where in self.where.items()
                if where == category
                for page in self.volumes[name].values()
            }
            counts[category] = len(mine - taken)
            taken |= mine
        kept = {page for mapped in self.snapshots.values() for page in mapped.values()}
        counts["SNAPSHOT"] = len(kept - taken)
        room, raw = sum(self.rooms.values()), raw_bytes // _PAGE_BYTES
        drawn = min(self.drawn, raw) if self.growth_pages else raw
        counts["RAW_UNCONFIGURED"] = raw - drawn
        counts["ALLOCATED_NEVER_WRITTEN"] = room
        counts["POOL_FREE"] = drawn - len(kept | taken) - room
        return {category: count * _PAGE_BYTES for category, count in counts.items()}

    def subscribed(self) -> dict[str, int]:
        """Returns the sizes of each category's volumes."""
        sizes = dict.fromkeys(CATEGORIES, 0)
        for name, where in self.where.items():
            sizes[where] += self.sizes[name]
        return sizes


class DarkStorage(Experiment[Parameters, _History]):
    """Lives through histories, and compares the report with the ledger."""

    name = "dark-storage"
    summary = "Where all space is, byte for byte, and how much of it nobody uses"
    sizes: ClassVar = {
        "small": Parameters(runs=2, volumes=12, volume_mib=8, pages_max=40),
        "default": Parameters(runs=4, volumes=60, volume_mib=16, pages_max=200),
        "large": Parameters(runs=8, volumes=300, volume_mib=64, pages_max=1_000),
    }

    def cases(self, plan: Plan[Parameters]) -> list[_History]:
        """Returns a history for each seed."""
        runs = range(plan.parameters.runs)
        return [
            _History(seed=plan.seed + run, parameters=plan.parameters, steps=run % 2 == 1)
            for run in runs
        ]

    def system(self, case: _History) -> dict[str, Any]:
        """Returns two hosts and an array without a volume; it promises more than it has."""
        size = case.parameters.volume_mib << 20
        steps = {
            "growth_bytes": _GROWTH_PAGES * _PAGE_BYTES,
            "step_bytes": _STEP_PAGES * _PAGE_BYTES,
            "step_bytes_max": _STEP_PAGES * _PAGE_BYTES,
        }
        return {
            "fabrics": [_FABRIC],
            "arrays": [
                {
                    "name": "a1",
                    "controllers": [{"name": "c0"}],
                    "ports": [{"name": "p0", "controller": "c0", "fabric": _FABRIC}],
                    "pools": [
                        {
                            "name": "p1",
                            "capacity_bytes": size * max(case.parameters.volumes // 3, 1),
                            "page_bytes": _PAGE_BYTES,
                            **(steps if case.steps else {}),
                        }
                    ],
                }
            ],
            "multipath": {"name": "m1"},
            "hosts": [
                {"name": host, "initiators": [{"name": f"{host}-a", "fabric": _FABRIC}]}
                for host in ("h1", "h2")
            ],
        }

    def run(self, stack: Smokestack, case: _History) -> list[Row]:
        """Lives through the history, reports, reclaims, reports again."""
        from smokestack.client import Initiator

        array = stack.array("a1")
        for host in ("h1", "h2"):
            if host not in array.hosts:
                array.hosts.create(host, initiators=[Initiator(name=f"{host}-a", fabric=_FABRIC)])
        ledger = Ledger(_STEP_PAGES, _GROWTH_PAGES) if case.steps else Ledger()
        life = _Life(stack, Random(f"dark {case.seed}"), case.parameters, ledger)
        for number in range(case.parameters.volumes):
            life.live(f"v{number}", life.draw.choices(list(_FATES), list(_FATES.values()))[0])
        rows = _compared(stack, ledger, case.seed, PHASES[0])
        stack.reclaim(stack.reclaim())
        ledger.reclaim()
        return rows + _compared(stack, ledger, case.seed, PHASES[1])

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Adds up, compares with the ledger, and weighs what is dark."""
        reports: dict[tuple[int, str], list[Row]] = {}
        for row in rows:
            reports.setdefault((row["seed"], row["phase"]), []).append(row)
        wrong_sums = [
            key
            for key, report in reports.items()
            if sum(row["physical_bytes"] for row in report) != report[0]["raw_bytes"]
        ]
        differ = [
            row
            for row in rows
            if (row["physical_bytes"], row["subscribed_bytes"])
            != (row["planted_physical_bytes"], row["planted_subscribed_bytes"])
        ]
        before = [row for row in rows if row["phase"] == PHASES[0]]
        stored = _share(before, "physical_bytes", before[0]["raw_bytes"] * parameters.runs)
        promised = _share(before, "subscribed_bytes")
        alone = sum(r["subscribed_bytes"] for r in before if r["category"] == "UNASSIGNED")
        dark = sum(r["subscribed_bytes"] for r in before if r["category"] in DARK)
        return [
            Claim(
                "sums-to-raw",
                MUST_HOLD,
                "Each byte is in one category: their physical bytes add up to raw capacity "
                "(reports that do not)",
                figure=len(wrong_sums),
                baseline=0,
                holds=not wrong_sums,
            ),
            Claim(
                "ground-truth",
                MUST_HOLD,
                "The report equals what was planted, byte for byte, physical and subscribed, also "
                "once reclaimed (categories that differ)",
                figure=len(differ),
                baseline=0,
                holds=not differ,
            ),
            Claim(
                "thin-hides-it",
                FINDING,
                "A larger share is dark of what is promised than of what is there: thin "
                "provisioning hides it",
                figure=round(promised, 4),
                baseline=round(stored, 4),
                holds=promised > stored,
            ),
            Claim(
                "array-alone-sees-less",
                FINDING,
                "Of promised bytes that are dark, the array alone sees those exported to nobody",
                figure=alone,
                baseline=dark,
                holds=alone < dark,
            ),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws what is in each category, stored and promised, before and after reclaiming."""
        axes = figure.add_subplot()
        bars = [(what, phase) for what in ("physical", "subscribed") for phase in PHASES]
        words = {"physical": "stored", "subscribed": "promised"}
        names = [f"{words[what]},\n{phase} reclaiming" for what, phase in bars]
        left = [0.0] * len(bars)
        shown = [c for c in reversed(CATEGORIES) if any(_of(rows, c, *bar) for bar in bars)]
        for at, category in enumerate(shown):
            sizes = [_of(rows, category, *bar) / (1 << 20) for bar in bars]
            colour = f"C{at}" if category != "POOL_FREE" else "0.9"
            label = category.lower().replace("_", " ") + (" (dark)" if category in DARK else "")
            axes.barh(names, sizes, left=left, color=colour, label=label, edgecolor="white")
            left = [so_far + size for so_far, size in zip(left, sizes, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel(f"MiB on {parameters.runs} stacks together")
        axes.legend(loc="upper right")


@dataclass
class _Life:
    """What becomes of volumes, in the stack and in the ledger."""

    stack: Smokestack
    draw: Random
    parameters: Parameters
    ledger: Ledger

    def live(self, name: str, fate: str) -> None:
        """Lets a volume live through its history to its end."""
        stack, array = self.stack, self.stack.array("a1")
        self._create(name, fate)
        # Of those that end unused, some were never written to.
        if self.draw.random() < 0.8 or fate in ("IN_USE", "CLAIMED_NO_FS"):
            array.exports.create(volume=name, host="h1")
            stack.multipath.hosts["h1"].rescan()
            vm = stack.hosts["h1"].vms.create(name)
            vm.disks.create("d0", device=f"a1.{name}")
            self._write(name)
            if fate == "IN_USE":
                self._copy(name)
                return
            vm.disks["d0"].delete()
            vm.delete()
            if fate == "CLAIMED_NO_FS":
                return
            array.exports[f"{name}.h1"].delete()
            stack.multipath.hosts["h1"].rescan()
        if fate == "UNCLAIMED":
            array.exports.create(volume=name, host="h2")  # which is never rescanned

    def _create(self, name: str, where: str, snapshot: str = "") -> None:
        size = self.parameters.volume_mib << 20
        volumes = self.stack.array("a1").volumes
        if snapshot:
            volumes.create(name, pool="p1", capacity_bytes=size, source_snapshot=snapshot)
        else:
            volumes.create(name, pool="p1", capacity_bytes=size)
        self.ledger.volumes[name], self.ledger.sizes[name] = {}, size
        self.ledger.where[name] = where

    def _copy(self, name: str) -> None:
        """Perhaps takes a snapshot, and a clone of it, forgets both, and goes on writing."""
        if self.draw.random() >= _WITH_SNAPSHOT:
            return
        self.stack.array("a1").snapshots.create(f"s-{name}", volume=name)
        self.ledger.snapshots[name] = dict(self.ledger.volumes[name])
        if self.draw.random() < _WITH_CLONE:
            self._create(f"{name}-clone", "UNASSIGNED", f"s-{name}")
            self.ledger.volumes[f"{name}-clone"] = dict(self.ledger.volumes[name])
        self._write(name)

    def _write(self, name: str) -> None:
        """Has the guest write a stretch of whole pages, each once."""
        from smokestack.client import BlockSize

        count = self.draw.randint(1, self.parameters.pages_max)
        pages = (self.parameters.volume_mib << 20) // _PAGE_BYTES
        first = self.draw.randrange(pages - count + 1)
        job = (
            self.stack.hosts["h1"]
            .vms[name]
            .jobs.create(
                "j0",
                disk="d0",
                read_ratio=0.0,
                pattern="SEQUENTIAL",
                block_sizes=[BlockSize(length_bytes=_PAGE_BYTES)],
                region_offset_bytes=first * _PAGE_BYTES,
                region_bytes=count * _PAGE_BYTES,
                io_limit=count,
            )
        )
        while job.reload().completed_count < count:
            self.stack.advance(seconds=0.01)
        job.stop()
        job.delete()
        self.ledger.write(name, range(first, first + count))


def _compared(stack: Smokestack, ledger: Ledger, seed: int, phase: str) -> list[Row]:
    """Returns what the report says of each category, beside what the ledger does."""
    [array] = stack.dark_storage().arrays
    physical, subscribed = ledger.physical(array.raw_bytes), ledger.subscribed()
    return [
        {
            "seed": seed,
            "phase": phase,
            "category": category,
            "physical_bytes": row.physical_bytes,
            "planted_physical_bytes": physical[category],
            "subscribed_bytes": row.subscribed_bytes,
            "planted_subscribed_bytes": subscribed[category],
            "raw_bytes": array.raw_bytes,
        }
        for category, row in zip(CATEGORIES, array.categories, strict=True)
    ]


def _share(rows: Sequence[Row], key: str, whole: int = 0) -> float:
    whole = whole or sum(row[key] for row in rows)
    return float(sum(row[key] for row in rows if row["category"] in DARK) / whole)


def _of(rows: Sequence[Row], category: str, what: str, phase: str) -> int:
    key = f"{what}_bytes"
    return sum(r[key] for r in rows if (r["category"], r["phase"]) == (category, phase))


EXPERIMENT = DarkStorage()
