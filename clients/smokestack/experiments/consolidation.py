"""Consolidation: what VMs do to one another as they are stacked on a host, by what they run.

The column says that congestion gets worse as VMs are stacked.  Here each class of application is
stacked alone, on one datastore, and compared with what queueing theory says of the network that the
stack is configured to be: customers that think, a delay for what does not queue to speak of, and
disks that serve in exponential times and get equal shares of what misses the cache.  That is a
product-form network, so mean value analysis is exact for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

_DISKS: Final = 4
_MEDIA_NS: Final = 5_000_000
_CORE_NS: Final = 10_000
_COMMAND_NS: Final = 1_000
_BYTES_PER_NS: Final = 10
_LATENCY_NS: Final = 2_000_000  # each way: a delay as any other, and long windows run quickly
_BROKER_NS: Final = 2_500
_MIB: Final = 1 << 20
_DISK_MIB: Final = 64  # of each VM
_SATURATED: Final = 400  # customers that keep all disks busy, within a percent


@dataclass(frozen=True)
class Application:
    """What a VM of a class does: ours, to be plausible, not measured anywhere."""

    depth: int
    think_ns: int
    block_bytes: int
    read_ratio: float  # writes go to the cache
    hit_ratio: float
    patience: int  # how many times as long as others a run takes for a mean of equal precision

    @property
    def demand_ns(self) -> float:
        """Disk time that an I/O asks for on average."""
        return self.read_ratio * (1 - self.hit_ratio) * _MEDIA_NS

    @property
    def delay_ns(self) -> float:
        """What an I/O takes beside the disks: wires, a core, the frame and the data."""
        return 2 * _LATENCY_NS + _CORE_NS + _COMMAND_NS + self.block_bytes / _BYTES_PER_NS

    @property
    def cycle_ns(self) -> float:
        """From one issue to the next when nobody waits."""
        return self.think_ns + _BROKER_NS + self.delay_ns + self.demand_ns

    @property
    def knee(self) -> float:
        """N*, in customers: where the asymptotes of throughput meet."""
        return self.cycle_ns / (self.demand_ns / _DISKS)


CLASSES: Final = {
    "web": Application(4, 20_000_000, 16_384, 0.95, 0.8, 16),
    "file server": Application(4, 10_000_000, 65_536, 0.8, 0.5, 8),
    "OLTP": Application(2, 10_000_000, 8_192, 0.7, 0.3, 7),
    "backup": Application(4, 0, 262_144, 1.0, 0.0, 1),
    "boot storm": Application(2, 1_000_000, 32_768, 0.9, 0.4, 1),
}
# What the device's queue leaves to VMs: all that they want, or what ESX ships with.
POLICIES: Final = {
    "deep": {"lun_queue_depth": 4_096, "sched_num_req_outstanding": 4_096},
    "DSNRO 32": {"lun_queue_depth": 64, "sched_num_req_outstanding": 32},
}
_STEPS: Final = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)  # VMs, of those at the knee


@dataclass(frozen=True)
class Parameters:
    """How many I/Os each run is looked at for, and which steps are taken.

    Past the knee queues come and go slowly, and where VMs think, what the disks do more or less
    shows in the response several times as much: a mean within half a percent, a quarter of what is
    allowed, takes many I/Os, most of them where few go to a disk.
    """

    ios: int  # times the class's patience
    probe_ios: int  # of the runs that means are not compared with
    steps: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _Run(Case):
    application: str
    policy: str
    vms: int
    depth: int
    ios: int

    @property
    def customers(self) -> int:
        return self.vms * self.depth


class Consolidation(Experiment[Parameters, _Run]):
    """Stacks VMs of each class on a host, to beyond the knee."""

    name = "consolidation"
    summary = "VMs of each class stacked on one host, against mean value analysis"
    sizes: ClassVar = {
        "small": Parameters(ios=100_000, probe_ios=50_000, steps=(0.5, 1.0, 2.0, 4.0)),
        "default": Parameters(ios=100_000, probe_ios=100_000, steps=_STEPS),
    }
    is_fast: ClassVar = False

    def cases(self, plan: Plan[Parameters]) -> list[_Run]:
        """Returns each class's steps, then a customer alone and far too many; and a policy more."""
        found = []
        for name, application in CLASSES.items():
            counts = _counts(application, plan.parameters.steps)
            alone, many = (1, 1), (-(-_SATURATED // application.depth), application.depth)
            ios, fewer = application.patience * plan.parameters.ios, plan.parameters.probe_ios
            runs = [("deep", vms, application.depth, ios) for vms in counts]
            runs += [("deep", *alone, fewer), ("deep", *many, fewer)]
            runs += [("DSNRO 32", vms, application.depth, fewer) for vms in counts[-2:]]
            found += [
                _Run(
                    seed=plan.seed,
                    application=name,
                    policy=policy,
                    vms=vms,
                    depth=depth,
                    ios=ios,
                )
                for policy, vms, depth, ios in runs
            ]
        return found

    def system(self, case: _Run) -> dict[str, Any]:
        """Returns a host with so many VMs on one volume, which fills its pool."""
        application, size = CLASSES[case.application], case.vms * _DISK_MIB * _MIB
        return {
            "fabrics": ["a"],
            "arrays": [_array(application, size)],
            "multipath": {"name": "m1"},
            "hosts": [
                {
                    "name": "h1",
                    "initiators": [{"name": "h1-a", "fabric": "a"}],
                    **POLICIES[case.policy],
                    "vms": [_vm(number, case) for number in range(case.vms)],
                }
            ],
        }

    def workload(self, stack: Smokestack, case: _Run) -> None:
        """Has every page mapped, so that a read that misses the cache goes to a disk."""
        stack.pools["p1"].fill(1.0)

    def run(self, stack: Smokestack, case: _Run) -> list[Row]:
        """Lets the run settle for a fifth of its time, then takes means of what follows."""
        application = CLASSES[case.application]
        rate = min(_DISKS / application.demand_ns, case.customers / application.cycle_ns)
        measured_ns = round(case.ios / rate)
        device = stack.multipath.hosts["h1"].devices["a1.v1"]
        stack.advance(until_ns=measured_ns // 5)
        before = device.statistics().queue
        stack.advance(until_ns=measured_ns // 5 + measured_ns)
        after = device.statistics().queue
        ios = after.ios_count - before.ios_count
        latency = stack.statistics().latency
        return [
            {
                "seed": case.seed,
                "application": case.application,
                "policy": case.policy,
                "vms": case.vms,
                "customers": case.customers,
                "iops": round(ios * 1e9 / measured_ns, 1),
                "response_ns": (after.guest_total_ns - before.guest_total_ns) // ios,
                "mva_response_ns": round(mean_value_analysis(application, case.customers)),
                "kernel_ns": (after.kernel_total_ns - before.kernel_total_ns) // ios,
                "p99_ns": latency.p99_ns,
                "knee_vms": round(application.knee / application.depth, 2),
            }
        ]

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Compares each class with theory, and classes with one another."""
        return [
            _as_computed(rows),
            *(_knee(rows, name) for name in CLASSES),
            *(_rises(rows, name) for name in CLASSES),
            *(_suits(rows, name) for name in CLASSES),
            *_queue_moves(rows),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws response and p99 over VMs, a column for each class; the knee is dotted."""
        axes = figure.subplots(2, len(CLASSES), sharex="col", sharey="row", squeeze=False)
        for column, name in enumerate(CLASSES):
            found = _sweep(rows, name)
            vms = [row["vms"] for row in found]
            above, below = axes[0][column], axes[1][column]
            above.plot(vms, [row["response_ns"] / 1e6 for row in found], "o", label="measured")
            above.plot(vms, [row["mva_response_ns"] / 1e6 for row in found], label="computed")
            below.plot(vms, [row["p99_ns"] / 1e6 for row in found], "o-")
            for axis in (above, below):
                axis.axvline(found[0]["knee_vms"], linestyle=":", color="gray", label="knee, N*")
                axis.set_yscale("log", subs=[2, 5])
                for which in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
                    which("{x:g}")
            above.set_title(name)
            below.set_xlabel("VMs")
        axes[0][0].set_ylabel("mean response, ms")
        axes[1][0].set_ylabel("99th percentile, ms")
        axes[0][-1].legend(loc="lower right")


def mean_value_analysis(application: Application, customers: int) -> float:
    """The mean response of a closed network with so many customers, by the exact recursion."""
    at_disk = application.demand_ns / _DISKS
    queue = 0.0
    response = 0.0
    for count in range(1, customers + 1):
        residence = at_disk * (1 + queue)
        response = application.delay_ns + _DISKS * residence
        rate = count / (application.think_ns + _BROKER_NS + response)
        queue = rate * residence
    return response


def _counts(application: Application, steps: Sequence[float]) -> list[int]:
    knee = application.knee / application.depth
    return sorted({max(1, round(step * knee)) for step in steps})


def _array(application: Application, size: int) -> dict[str, Any]:
    return {
        "name": "a1",
        "controllers": [
            {
                "name": "c0",
                "core_count": 64,
                "read_ns": _CORE_NS,
                "write_ns": _CORE_NS,
                "read_hit_ratio": application.hit_ratio,
            }
        ],
        "ports": [
            {
                "name": "p0",
                "controller": "c0",
                "fabric": "a",
                "queue_limit": 65_536,
                "command_ns": _COMMAND_NS,
                "bandwidth_bytes_per_second": _BYTES_PER_NS * 10**9,
                "forward_latency_ns": _LATENCY_NS,
                "return_latency_ns": _LATENCY_NS,
            }
        ],
        "pools": [
            {
                "name": "p1",
                "capacity_bytes": size,
                "page_bytes": _MIB,
                "disk_count": _DISKS,
                "media_ns": _MEDIA_NS,
            }
        ],
        "volumes": [{"name": "v1", "pool": "p1", "capacity_bytes": size}],
        "exports": [{"volume": "v1", "host": "h1", "lun": 0}],
    }


def _vm(number: int, case: _Run) -> dict[str, Any]:
    application = CLASSES[case.application]
    size = _DISK_MIB * _MIB
    disk = {"name": "d0", "device": "a1.v1", "capacity_bytes": size}
    job = {
        "name": "j0",
        "disk": "d0",
        "iodepth": case.depth,
        "read_ratio": application.read_ratio,
        "block_sizes": [{"length_bytes": application.block_bytes}],
        "think_ns": application.think_ns,
        "think_time": "EXPONENTIAL",
    }
    return {
        "name": f"v{number}",
        "broker_ns": _BROKER_NS,
        "disks": [disk | {"device_offset_bytes": number * size}],
        "jobs": [job],
    }


def _sweep(rows: Sequence[Row], name: str, policy: str = "deep") -> list[Row]:
    """A class's steps, without the runs of one customer and of far too many."""
    depth = CLASSES[name].depth
    return [
        row
        for row in rows
        if (row["application"], row["policy"]) == (name, policy)
        and row["customers"] == row["vms"] * depth
        and row["customers"] < _SATURATED
    ]


def _as_computed(rows: Sequence[Row]) -> Claim:
    found = [row for name in CLASSES for row in _sweep(rows, name)]
    worst = max(abs(row["response_ns"] / row["mva_response_ns"] - 1) for row in found)
    return Claim(
        "gets-worse-as-computed",
        MUST_HOLD,
        "Every mean response is within 2 % of mean value analysis",
        figure=round(worst, 4),
        baseline=0.02,
        holds=worst <= 0.02,
    )


def _knee(rows: Sequence[Row], name: str) -> Claim:
    """Where the measured asymptotes meet: one customer's pace, and the most that disks do."""
    application = CLASSES[name]
    own = [row for row in rows if (row["application"], row["policy"]) == (name, "deep")]
    alone = min(own, key=lambda row: row["customers"])
    most = max(own, key=lambda row: row["customers"])
    cycle_ns = application.think_ns + _BROKER_NS + alone["response_ns"]
    measured = cycle_ns * most["iops"] / 1e9
    return Claim(
        f"knee-{name.replace(' ', '-').lower()}",
        MUST_HOLD,
        f"{name}: the asymptotes measured meet within 3 % of N*, in customers",
        figure=round(measured, 2),
        baseline=round(application.knee, 2),
        holds=abs(measured / application.knee - 1) <= 0.03,
    )


def _rises(rows: Sequence[Row], name: str) -> Claim:
    found = _sweep(rows, name)
    past = [row["response_ns"] for row in found if row["vms"] >= row["knee_vms"]]
    least = min((b / a for a, b in pairwise(past)), default=2.0)
    return Claim(
        f"rises-past-the-knee-{name.replace(' ', '-').lower()}",
        MUST_HOLD,
        f"{name}: past the knee, every step makes the mean response longer",
        figure=round(least, 3),
        baseline=1.0,
        holds=least > 1,
    )


def _suits(rows: Sequence[Row], name: str) -> Claim:
    """Expected: classes that mostly think or hit the cache share a host, the others do not."""
    application = CLASSES[name]
    vms = application.knee / application.depth
    at = min(_sweep(rows, name), key=lambda row: abs(row["vms"] - vms))
    return Claim(
        f"suits-a-shared-host-{name.replace(' ', '-').lower()}",
        FINDING,
        f"{name}: a host takes 5 VMs or more before they make one another wait; with "
        f"{at['vms']}, p99 is {at['p99_ns'] / 1e6:.1f} ms",
        figure=round(vms, 1),
        baseline=5,
        holds=vms >= 5,
    )


def _queue_moves(rows: Sequence[Row]) -> list[Claim]:
    """Expected: a shorter device queue makes nobody faster, it moves the wait into the host."""
    pairs = []
    for name in CLASSES:
        deep = {row["vms"]: row for row in _sweep(rows, name)}
        pairs += [(deep[row["vms"]], row) for row in _sweep(rows, name, "DSNRO 32")]
    least = min(short["response_ns"] / deep["response_ns"] for deep, short in pairs)
    tail = min(pairs, key=lambda pair: pair[1]["p99_ns"] / pair[0]["p99_ns"])
    shorter = tail[1]["p99_ns"] / tail[0]["p99_ns"]
    return [
        Claim(
            "a-shorter-queue-moves-the-wait",
            FINDING,
            "No class responds faster on average by a twentieth with DSNRO at 32 than with all the "
            "depth it wants",
            figure=round(least, 3),
            baseline=0.95,
            holds=least >= 0.95,
        ),
        Claim(
            "a-shorter-queue-evens-the-tail",
            FINDING,
            "Waiting in one queue of the host instead of at four disks leaves half of p99 at most, "
            f"for {tail[0]['application']} with {tail[0]['vms']} VMs",
            figure=round(shorter, 3),
            baseline=0.5,
            holds=shorter <= 0.5,
        ),
    ]


EXPERIMENT = Consolidation()
