"""All of it repeats: one seed gives one digest, wherever `Advance` is cut.

The system is a congested one: two hosts share one small port, so that refusals, retries and draws
all matter to the digest.  The first experiment to read when writing another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

_FABRIC = "fabric-a"
_HOSTS = ("h1", "h2")
_MS = 1_000_000


@dataclass(frozen=True)
class Parameters:
    """How long, how often, and cut into how many pieces."""

    virtual_ms: int
    seeds: int
    cuts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Run(Case):
    pieces: int
    until_ns: int


class Repeats(Experiment[Parameters, _Run]):
    """Runs each seed several times, in few long advances and in many short ones."""

    name = "repeats"
    summary = "One seed gives one digest, wherever time is cut"
    sizes: ClassVar = {
        "small": Parameters(virtual_ms=50, seeds=2, cuts=(1, 7)),
        "default": Parameters(virtual_ms=2_000, seeds=4, cuts=(1, 10, 999)),
    }

    def cases(self, plan: Plan[Parameters]) -> list[_Run]:
        """Returns each seed with each number of cuts."""
        until_ns = plan.parameters.virtual_ms * _MS
        return [
            _Run(seed=plan.seed + index, pieces=pieces, until_ns=until_ns)
            for index in range(plan.parameters.seeds)
            for pieces in plan.parameters.cuts
        ]

    def system(self, case: _Run) -> dict[str, Any]:
        """Returns two hosts with a VM each, on one port that takes 16 commands."""
        return {
            "fabrics": [_FABRIC],
            "arrays": [
                {
                    "name": "a1",
                    "controllers": [{"name": "c0"}],
                    "ports": [
                        {"name": "p0", "controller": "c0", "fabric": _FABRIC, "queue_limit": 16}
                    ],
                    "pools": [{"name": "p1", "capacity_bytes": "16 GiB"}],
                    "volumes": [
                        {"name": host, "pool": "p1", "capacity_bytes": "8 GiB"} for host in _HOSTS
                    ],
                    "exports": [{"volume": host, "host": host} for host in _HOSTS],
                }
            ],
            "multipath": {"name": "m1"},
            "hosts": [
                {
                    "name": host,
                    "initiators": [{"name": f"{host}-a", "fabric": _FABRIC}],
                    "vms": [{"name": "v", "disks": [{"name": "d0", "device": f"a1.{host}"}]}],
                }
                for host in _HOSTS
            ],
        }

    def workload(self, stack: Smokestack, case: _Run) -> None:
        """Starts a closed loop in each VM."""
        for host in _HOSTS:
            vm = stack.hosts[host].vms["v"]
            vm.jobs.create("j0", disk="d0", iodepth=16, read_ratio=0.7)

    def run(self, stack: Smokestack, case: _Run) -> list[Row]:
        """Advances in so many pieces, and reads what all of it adds up to."""
        for piece in range(1, case.pieces + 1):
            stack.advance(until_ns=case.until_ns * piece // case.pieces)
        total = stack.statistics()
        return [
            {
                "seed": case.seed,
                "pieces": case.pieces,
                "ios": total.io_count,
                "p99_ns": total.latency.p99_ns,
                "digest": total.digest,
            }
        ]

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Counts digests: one for each seed, and different ones for different seeds."""
        by_seed: dict[int, set[str]] = {}
        for row in rows:
            by_seed.setdefault(row["seed"], set()).add(row["digest"])
        most = max(map(len, by_seed.values()))
        all_of_them = len(set().union(*by_seed.values()))
        return [
            Claim(
                "one-digest-per-seed",
                MUST_HOLD,
                "Runs of one seed have one digest, in however many pieces time moves",
                figure=most,
                baseline=1,
                holds=most == 1,
            ),
            Claim(
                "seeds-differ",
                FINDING,
                "Different seeds give different runs",
                figure=all_of_them,
                baseline=len(by_seed),
                holds=all_of_them == len(by_seed),
            ),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws how many I/Os each run carried: runs of one seed lie on one level."""
        axes = figure.add_subplot()
        for seed in dict.fromkeys(row["seed"] for row in rows):
            own = [row for row in rows if row["seed"] == seed]
            axes.plot(
                [str(row["pieces"]) for row in own],
                [row["ios"] for row in own],
                marker="o",
                label=f"seed {seed}",
            )
        axes.set_xlabel("advances that make up the run")
        axes.set_ylabel("I/Os carried")
        axes.legend()


EXPERIMENT = Repeats()
