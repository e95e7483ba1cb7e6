"""Path selection: every policy on the same paths, equal ones and uneven ones.

The system is one volume behind ports that share nothing: each has a controller of its own, and all
reads hit the cache, so that ports alone take time.  A closed loop of four VMs keeps a number of
commands outstanding.  What a policy can reach is known without running it: a port carries no more
than its command rate and its data rate, and N outstanding commands are done no faster than each
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

_VMS: Final = 4
_FABRICS: Final = ("a", "b")
_LATENCY_NS: Final = 50_000  # each way
_COMMAND_NS: Final = 10_000
_BYTES_PER_SECOND: Final = 400_000_000
_BROKER_NS: Final = 2_500
_READ_NS: Final = 1_000  # of a controller that has cores for all
_BLOCKS: Final = ((4_096, 3), (16_384, 1))  # bytes, weight
_MEAN_BYTES: Final = sum(size * weight for size, weight in _BLOCKS) // sum(w for _, w in _BLOCKS)

# Policies by how they appear in rows; round robin as shipped, and as 3PAR had it set.
POLICIES: Final[dict[str, dict[str, Any]]] = {
    "FIRST_AVAILABLE": {"selector": "FIRST_AVAILABLE"},
    "FIXED": {"selector": "FIXED"},
    "MOST_RECENTLY_USED": {"selector": "MOST_RECENTLY_USED"},
    "ROUND_ROBIN": {"selector": "ROUND_ROBIN"},
    "ROUND_ROBIN, iops=1": {"selector": "ROUND_ROBIN", "ios_per_path": 1},
    "ROUND_ROBIN_BYTES": {"selector": "ROUND_ROBIN_BYTES"},
    "LATENCY": {"selector": "LATENCY"},
    "DM_ROUND_ROBIN": {"selector": "DM_ROUND_ROBIN"},
    "QUEUE_LENGTH": {"selector": "QUEUE_LENGTH"},
    "SERVICE_TIME": {"selector": "SERVICE_TIME"},
    "HISTORICAL_SERVICE_TIME": {"selector": "HISTORICAL_SERVICE_TIME"},
    "IO_AFFINITY": {"selector": "IO_AFFINITY"},
    "LEAST_BLOCKS": {"selector": "LEAST_BLOCKS"},
}
# Those that look at what is in flight, or at how long it took.
WATCHING: Final = (
    "LATENCY",
    "QUEUE_LENGTH",
    "SERVICE_TIME",
    "HISTORICAL_SERVICE_TIME",
    "LEAST_BLOCKS",
)
_WATCHES: Final = "tab:green"
_BLIND: Final = "tab:gray"
# What a shape makes of the last port's share of the others' rate; a shape is a line here.
SLOWED: Final = {"symmetric": 1, "alua": 1, "degraded": 10, "slow-drain": 1}
OUTSTANDING: Final = {"symmetric": 64, "alua": 64, "degraded": 48, "slow-drain": 48}
# With "alua" two controllers have half the ports each, one of them owns the volume, and hosts use
# its paths alone while there are any.
_ALUA: Final = "alua"
# With "slow-drain" another host takes frames from the last port this much later than it could, and
# what waits for its buffers holds up what the port sends to others.
_DRAIN_PER_MILLE: Final = 50_000


@dataclass(frozen=True)
class Parameters:
    """How long each run is, and how many paths first-available is shown on."""

    virtual_ms: int
    paths: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Run(Case):
    shape: str
    policy: str
    paths: int
    virtual_ms: int

    @property
    def outstanding(self) -> int:
        return OUTSTANDING[self.shape]


class PathSelection(Experiment[Parameters, _Run]):
    """Runs every policy on paths of every shape."""

    name = "path-selection"
    summary = "What path selection policies make of equal and of uneven paths"
    sizes: ClassVar = {
        "small": Parameters(virtual_ms=150, paths=(1, 2)),
        "default": Parameters(virtual_ms=1_000, paths=(1, 2, 8)),
    }

    def cases(self, plan: Plan[Parameters]) -> list[_Run]:
        """Returns every policy with every shape of four paths; first-available with more."""
        virtual_ms = plan.parameters.virtual_ms
        runs = [(shape, policy, 4) for shape in SLOWED for policy in POLICIES]
        runs += [("symmetric", "FIRST_AVAILABLE", paths) for paths in plan.parameters.paths]
        return [
            _Run(seed=plan.seed, shape=shape, policy=policy, paths=paths, virtual_ms=virtual_ms)
            for shape, policy, paths in runs
        ]

    def system(self, case: _Run) -> dict[str, Any]:
        """Returns a host, its four VMs on one volume, and an array of as many ports as paths."""
        share = 1 << 30
        found = {
            "fabrics": list(_FABRICS),
            "arrays": [
                {
                    "name": "a1",
                    "controllers": [
                        {"name": f"c{n}", "core_count": 64, "read_ns": _READ_NS}
                        | {"read_hit_ratio": 1.0}
                        for n in range(2 if case.shape == _ALUA else case.paths)
                    ],
                    "ports": [_port(n, case) for n in range(case.paths)],
                    "pools": [{"name": "p1", "capacity_bytes": "64 GiB"}],
                    "volumes": [{"name": "v1", "pool": "p1", "capacity_bytes": _VMS * share}],
                    "exports": [{"volume": "v1", "host": "h1"}],
                }
            ],
            "multipath": {"name": "m1"},
            "hosts": [
                {
                    "name": "h1",
                    "initiators": [{"name": f"h1-{f}", "fabric": f} for f in _FABRICS],
                    "lun_queue_depth": 256,
                    "sched_num_req_outstanding": 256,
                    **POLICIES[case.policy],
                    "vms": [_vm(n, case.outstanding // _VMS, share) for n in range(_VMS)],
                }
            ],
        }
        if case.shape == "slow-drain":
            _add_drain(found)
        if case.shape == _ALUA:
            _add_owner(found)
        return found

    def run(self, stack: Smokestack, case: _Run) -> list[Row]:
        """Advances, and reads what guests and paths have seen."""
        stack.advance(seconds=case.virtual_ms / 1_000)
        disks = [d for d in stack.statistics().disks if d.disk.startswith("hosts/h1/")]
        counts = [disk.io_count for disk in disks]
        waited_ns = sum(disk.io_count * disk.latency.mean_ns for disk in disks)
        device = stack.multipath.hosts["h1"].devices["a1.v1"]
        paths = list(device.paths)
        carried = [path.io_count for path in paths]
        longer = [path.io_count for path in paths if path.access_state == "NON_OPTIMIZED"]
        return [
            {
                "seed": case.seed,
                "shape": case.shape,
                "policy": case.policy,
                "paths": len(carried),
                "outstanding": case.outstanding,
                "iops": round(sum(counts) * 1_000 / case.virtual_ms),
                "iops_bound": round(_bound(case)),
                "mean_ns": waited_ns // sum(counts),
                "p99_ns": max(disk.latency.p99_ns for disk in disks),  # of the VM that has it worst
                "busiest_share": round(max(carried) / sum(carried), 4),
                "non_optimized_paths": len(longer),
                "non_optimized_ios": sum(longer),
                "least_vm_share": round(min(counts) / sum(counts), 4),
            }
        ]

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Compares policies on each shape, and all of them with what ports can carry."""
        return [
            _first_port_skew(rows),
            _balanced_beats_first(rows),
            *_degraded_path(rows),
            _optimized_only(rows),
            _within_bounds(rows),
            *_turns(rows),
            *(claim for shape in SLOWED for claim in _best(rows, shape)),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws each policy's throughput and 99th percentile, a column for each shape."""
        axes = figure.subplots(2, len(SLOWED), sharey="row", sharex=True, squeeze=False)
        for column, shape in enumerate(SLOWED):
            found = _by_policy(rows, shape)
            names = [name.lower().replace("_", " ") for name in found]
            above, below = axes[0][column], axes[1][column]
            bars = above.bar(names, [row["iops"] / 1_000 for row in found.values()], color=_BLIND)
            tails = below.bar(names, [row["p99_ns"] / 1e6 for row in found.values()], color=_BLIND)
            for place, name in enumerate(found):
                if name in WATCHING:
                    bars[place].set_color(_WATCHES)
                    tails[place].set_color(_WATCHES)
            above.set_title(f"{shape}, four paths")
            below.tick_params(axis="x", rotation=90)
        shown = [list(POLICIES).index(name) for name in ("QUEUE_LENGTH", "FIXED")]
        axes[0][1].legend(
            [bars[n] for n in shown], ["watches its paths", "does not"], loc="upper left"
        )
        axes[0][0].set_ylabel("thousand I/Os a second")
        axes[1][0].set_ylabel("99th percentile, ms")


def _port(number: int, case: _Run) -> dict[str, Any]:
    slowed = SLOWED[case.shape] if number == case.paths - 1 else 1
    return {
        "name": f"p{number}",
        "controller": f"c{number // 2 if case.shape == _ALUA else number}",
        "fabric": _FABRICS[number % 2],
        "command_ns": _COMMAND_NS * slowed,
        "bandwidth_bytes_per_second": _BYTES_PER_SECOND // slowed,
        "forward_latency_ns": _LATENCY_NS,
        "return_latency_ns": _LATENCY_NS,
    }


def _vm(number: int, depth: int, share: int) -> dict[str, Any]:
    blocks = [{"length_bytes": size, "weight": weight} for size, weight in _BLOCKS]
    disk = {"name": "d0", "device": "a1.v1", "capacity_bytes": share}
    return {
        "name": f"v{number}",
        "broker_ns": _BROKER_NS,
        "disks": [disk | {"device_offset_bytes": number * share}],
        "jobs": [{"name": "j0", "disk": "d0", "iodepth": depth, "block_sizes": blocks}],
    }


def _add_owner(system: dict[str, Any]) -> None:
    """Lets the first controller own the volume: the other's ports reach it by a longer way."""
    [array] = system["arrays"]
    array["access"] = "ALUA"
    array["volumes"][0]["controller"] = "c0"


def _add_drain(system: dict[str, Any]) -> None:
    """Adds a host that reads through the last port alone, and takes frames late."""
    [array] = system["arrays"]
    port = array["ports"][-1]
    array["volumes"].append({"name": "v2", "pool": "p1", "capacity_bytes": 1 << 30})
    array["exports"].append({"volume": "v2", "host": "slow", "ports": [port["name"]]})
    fabric = port["fabric"]
    job = {"name": "j0", "disk": "d0", "iodepth": 16, "block_sizes": [{"length_bytes": 16_384}]}
    vm = {"name": "v", "disks": [{"name": "d0", "device": "a1.v2"}], "jobs": [job]}
    initiator = {"name": f"slow-{fabric}", "fabric": fabric}
    system["hosts"].append({"name": "slow", "initiators": [initiator], "vms": [vm]})
    link = f"multipaths/m1/fabrics/{fabric}/links/slow-{fabric}"
    fault = {"name": "drain", "target": link, "kind": "SLOW_DRAIN"}
    system["faults"] = [fault | {"factor_per_mille": _DRAIN_PER_MILLE}]


def _bound(case: _Run) -> float:
    """Most I/Os a second by operational analysis: all ports busy, or no command ever waiting.

    A port takes commands and sends data at the same time, so the longer of the two binds.
    """
    data_ns = _MEAN_BYTES * 1e9 / _BYTES_PER_SECOND
    used = case.paths // 2 if case.shape == _ALUA else case.paths
    ports = (used - 1 + 1 / SLOWED[case.shape]) / max(_COMMAND_NS, data_ns)
    alone_ns = _COMMAND_NS + data_ns + 2 * _LATENCY_NS + _BROKER_NS + _READ_NS
    return min(ports, case.outstanding / alone_ns) * 1e9


def _by_policy(rows: Sequence[Row], shape: str) -> dict[str, Row]:
    return {row["policy"]: row for row in rows if row["shape"] == shape and row["paths"] == 4}


def _first_port_skew(rows: Sequence[Row]) -> Claim:
    found = [r for r in rows if r["policy"] == "FIRST_AVAILABLE" and r["shape"] == "symmetric"]
    least = min(row["busiest_share"] for row in found)
    return Claim(
        "first-port-skew",
        MUST_HOLD,
        f"First-available puts all I/O on one of {sorted(row['paths'] for row in found)} paths",
        figure=least,
        baseline=1.0,
        holds=least == 1.0,
    )


def _balanced_beats_first(rows: Sequence[Row]) -> Claim:
    found = _by_policy(rows, "symmetric")
    ratio = found["QUEUE_LENGTH"]["iops"] / found["FIRST_AVAILABLE"]["iops"]
    return Claim(
        "balanced-beats-first",
        MUST_HOLD,
        "On four paths that share no bottleneck, queue-length carries 3 times first-available's",
        figure=round(ratio, 3),
        baseline=3.0,
        holds=ratio >= 3,
    )


def _degraded_path(rows: Sequence[Row]) -> list[Claim]:
    found = _by_policy(rows, "degraded")
    robin = min(found[name]["p99_ns"] for name in ("ROUND_ROBIN", "ROUND_ROBIN, iops=1"))
    return [
        Claim(
            f"degraded-path-{name.lower().replace('_', '-')}",
            MUST_HOLD,
            f"With one path at a tenth of the rate, {name}'s p99 is half of round robin's at most",
            figure=round(found[name]["p99_ns"] / robin, 3),
            baseline=0.5,
            holds=found[name]["p99_ns"] <= 0.5 * robin,
        )
        for name in ("QUEUE_LENGTH", "SERVICE_TIME")
    ]


def _optimized_only(rows: Sequence[Row]) -> Claim:
    found = _by_policy(rows, _ALUA).values()
    strayed = sum(row["non_optimized_ios"] for row in found)
    return Claim(
        "optimized-only",
        MUST_HOLD,
        "While a path is optimized, no policy sends anything by the two that are not",
        figure=strayed,
        baseline=0,
        holds=strayed == 0 and all(row["non_optimized_paths"] == 2 for row in found),
    )


def _within_bounds(rows: Sequence[Row]) -> Claim:
    """The sizes drawn scatter around their mean: a percent is allowed for it."""
    most = max(row["iops"] / row["iops_bound"] for row in rows)
    return Claim(
        "within-bounds",
        MUST_HOLD,
        "No policy carries more than ports and outstanding commands allow",
        figure=round(most, 4),
        baseline=1.0,
        holds=most <= 1.01,
    )


def _best(rows: Sequence[Row], shape: str) -> list[Claim]:
    """Expected: who looks at the paths does best, in throughput and in the tail."""
    found = _by_policy(rows, shape)
    watching = [row for name, row in found.items() if name in WATCHING]
    blind = [row for name, row in found.items() if name not in WATCHING]
    most = [max(group, key=lambda row: row["iops"]) for group in (watching, blind)]
    least = [min(group, key=lambda row: row["p99_ns"]) for group in (watching, blind)]
    return [
        Claim(
            f"most-throughput-{shape}",
            FINDING,
            f"On {shape} paths, {most[0]['policy']}, which watches them, carries a hundredth more "
            f"a second than the best that does not, {most[1]['policy']}",
            figure=most[0]["iops"],
            baseline=most[1]["iops"],
            holds=most[0]["iops"] >= 1.01 * most[1]["iops"],
        ),
        Claim(
            f"shortest-tail-{shape}",
            FINDING,
            f"On {shape} paths, {least[0]['policy']}, which watches them, has a lower p99 in ns "
            f"than the best that does not, {least[1]['policy']}",
            figure=least[0]["p99_ns"],
            baseline=least[1]["p99_ns"],
            holds=least[0]["p99_ns"] < least[1]["p99_ns"],
        ),
    ]


def _turns(rows: Sequence[Row]) -> list[Claim]:
    """What taking turns is worth: in long turns, and where one path cannot keep up."""
    equal, uneven = _by_policy(rows, "symmetric"), _by_policy(rows, "degraded")
    gain = equal["ROUND_ROBIN"]["iops"] / equal["FIRST_AVAILABLE"]["iops"]
    blind = uneven["ROUND_ROBIN, iops=1"]["iops"] / uneven["FIRST_AVAILABLE"]["iops"]
    return [
        Claim(
            "long-turns-are-one-path",
            FINDING,
            "Turns of 1,000 I/Os gain less than a tenth over one path: nearly all that is "
            "outstanding waits on the path whose turn it is",
            figure=round(gain, 3),
            baseline=1.1,
            holds=gain < 1.1,
        ),
        Claim(
            "blind-turns-lose",
            FINDING,
            "With one path at a tenth of the rate, turns of one I/O carry less than one good path",
            figure=round(blind, 3),
            baseline=1.0,
            holds=blind < 1,
        ),
        Claim(
            "affinity-keeps-trouble-to-one",
            FINDING,
            "With one path at a tenth of the rate, I/O affinity carries as much as watching does, "
            "at the cost of the VM that is mapped to it: less than a tenth of the I/O is its own",
            figure=uneven["IO_AFFINITY"]["least_vm_share"],
            baseline=1 / _VMS,
            holds=uneven["IO_AFFINITY"]["least_vm_share"] < 0.1,
        ),
    ]


EXPERIMENT = PathSelection()
