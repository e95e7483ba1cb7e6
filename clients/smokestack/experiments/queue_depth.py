"""Queue depth: sixteen hosts on a port that takes half of what they send, and what to do about it.

The column says that 3PAR's adaptive queue depth throttles the LUN queue when the array is
congested, and asks whether that is enough.  So the same load runs with a fixed depth, with both
documented rules, with windows by shared latency (PARDA), with balanced paths, and combined; and
with one host among the others that does not throttle.

Disks are the bottleneck.  A refusal costs its port as much time as a command, or overload would be
free and nothing here would mean anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

HOSTS: Final = 16
DEPTH: Final = 64
PORT_LIMIT: Final = 497  # 3PAR InServ, QLogic 2G FC
DELAYS_US: Final = (500, 5_000)
_SAMPLE: Final = {"qfull_sample_size": 32, "qfull_threshold": 4}  # 3PAR's, by field lore
_COUNTER: Final = {"rule": "COUNTER", **_SAMPLE}
_WINDOW: Final = {"rule": "WINDOW", **_SAMPLE}
_LATENCY: Final = {"congestion_threshold_ns": 10_000_000}
# Remedies by how they appear in rows: every host's control, and whether paths share the load.
REMEDIES: Final[dict[str, tuple[dict[str, Any], bool]]] = {
    "fixed": ({"rule": "FIXED"}, False),
    "counter": (_COUNTER, False),
    "window": (_WINDOW, False),
    "parda": ({"rule": "FIXED", **_LATENCY}, False),
    "parda + window": ({**_WINDOW, **_LATENCY}, False),
    "balanced": ({"rule": "FIXED"}, True),
    "balanced + window": (_WINDOW, True),
    "balanced + parda": ({"rule": "FIXED", **_LATENCY}, True),
}
_GREEDY: Final = "h00"
_GIB: Final = 1 << 30
_MS: Final = 1_000_000


@dataclass(frozen=True)
class Parameters:
    """How long each run takes to settle, and is then looked at.

    Under a rule each host's depth goes up and down like a saw, for itself: it takes a long run to
    see that shares are equal.  All other figures are of equally long runs; p99 is of all of it.
    """

    settle_ms: int
    measure_ms: int
    fairness_ms: int


@dataclass(frozen=True, kw_only=True)
class _Run(Case):
    remedy: str
    greedy: bool
    delay_us: int
    settle_ms: int
    measure_ms: int
    fairness_ms: int  # that shares are looked at for


class QueueDepth(Experiment[Parameters, _Run]):
    """Runs every remedy at both retry delays; the two rules with a greedy host, too."""

    name = "queue-depth"
    summary = "Sixteen hosts on one port: is an adaptive queue depth enough?"
    sizes: ClassVar = {
        "small": Parameters(settle_ms=1_000, measure_ms=2_000, fairness_ms=160_000),
        "default": Parameters(settle_ms=3_000, measure_ms=6_000, fairness_ms=200_000),
    }
    is_fast: ClassVar = False

    def cases(self, plan: Plan[Parameters]) -> list[_Run]:
        """Returns every remedy, and the rules with one host that does as it likes."""
        runs = [(remedy, False) for remedy in REMEDIES]
        runs += [(remedy, True) for remedy in ("counter", "window")]
        return [
            _Run(
                seed=plan.seed,
                remedy=remedy,
                greedy=greedy,
                delay_us=delay_us,
                settle_ms=plan.parameters.settle_ms,
                measure_ms=plan.parameters.measure_ms,
                fairness_ms=_fairness_ms(plan.parameters, remedy, greedy),
            )
            for delay_us in DELAYS_US
            for remedy, greedy in runs
        ]

    def system(self, case: _Run) -> dict[str, Any]:
        """Returns sixteen hosts on one shared volume behind four ports."""
        return {
            "fabrics": ["a"],
            "arrays": [_array()],
            "multipath": {
                "name": "m1",
                "qfull_retry_delay_ns": case.delay_us * 1_000,
                "congestion_evaluation_ns": 200 * _MS,
            },
            "hosts": [_host(number, case) for number in range(HOSTS)],
        }

    def run(self, stack: Smokestack, case: _Run) -> list[Row]:
        """Lets the run settle, then counts; shares perhaps for longer."""
        stack.advance(seconds=case.settle_ms / 1_000)
        before = [device.statistics() for device in _devices(stack)]
        stack.advance(seconds=case.measure_ms / 1_000)
        after = [device.statistics() for device in _devices(stack)]
        p99_ns = stack.statistics().latency.p99_ns
        total = sum(_ios(before, after))
        refused = sum(_refusals(b) - _refusals(a) for a, b in zip(before, after, strict=True))
        kernel_ns = sum(
            b.queue.kernel_total_ns - a.queue.kernel_total_ns
            for a, b in zip(before, after, strict=True)
        )
        if case.fairness_ms > case.measure_ms:
            stack.advance(seconds=(case.fairness_ms - case.measure_ms) / 1_000)
        ios = _ios(before, [device.statistics() for device in _devices(stack)])
        others = ios[1:] if case.greedy else ios
        mean = sum(others) / len(others)
        return [
            {
                "seed": case.seed,
                "remedy": case.remedy,
                "greedy_host": case.greedy,
                "retry_delay_us": case.delay_us,
                "iops": round(total * 1_000 / case.measure_ms),
                "refused_ratio": round(refused / (refused + total), 4),
                "p99_ns": p99_ns,
                "kernel_mean_ns": kernel_ns // total,
                "fairness": round(sum(ios) ** 2 / (len(ios) * sum(n * n for n in ios)), 4),
                "spread": round(max(abs(n / mean - 1) for n in others), 4),
                "greedy_share": round(ios[0] / mean, 3) if case.greedy else None,
                "depth_mean": round(sum(s.queue.queue_depth for s in after) / HOSTS, 1),
            }
        ]

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Compares the rules with one another and with what their thresholds promise."""
        return [
            *(claim for delay in DELAYS_US for claim in _throttle_works(rows, delay)),
            *(claim for delay in DELAYS_US for claim in _starved_by_greed(rows, delay)),
            *_is_it_enough(rows),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws what there is to compare by remedy, a colour for each delay."""
        axes = figure.subplots(4, 1, sharex=True)
        columns = (
            ("iops", 1e-3, "thousand\nI/Os a second"),
            ("refused_ratio", 100, "refused, %"),
            ("p99_ns", 1e-6, "p99, ms"),
            ("kernel_mean_ns", 1e-6, "mean in\nthe host, ms"),
        )
        for place, delay in enumerate(DELAYS_US):
            found = _by_remedy(rows, delay)
            at = [index + 0.4 * place for index in range(len(found))]
            for axis, (key, scale, label) in zip(axes, columns, strict=True):
                values = [row[key] * scale for row in found.values()]
                axis.bar(at, values, width=0.38, label=f"retry after {delay / 1_000:g} ms")
                axis.set_ylabel(label)
        axes[1].legend()
        names = [name.replace(" + ", " +\n") for name in REMEDIES]
        axes[-1].set_xticks([index + 0.2 for index in range(len(REMEDIES))], names)


def _fairness_ms(parameters: Parameters, remedy: str, greedy: bool) -> int:
    is_for_fairness = remedy == "window" and not greedy
    return parameters.fairness_ms if is_for_fairness else parameters.measure_ms


def _array() -> dict[str, Any]:
    return {
        "name": "a1",
        "controllers": [
            {"name": "c0", "core_count": 64, "write_ns": 5_000, "write_back": False},
        ],
        "ports": [
            {
                "name": f"p{number}",
                "controller": "c0",
                "fabric": "a",
                "queue_limit": PORT_LIMIT,
                "command_ns": 10_000,
                "refusal_ns": 10_000,
                "bandwidth_bytes_per_second": 800_000_000,
            }
            for number in range(4)
        ],
        "pools": [
            {
                "name": "p1",
                "capacity_bytes": 64 * _GIB,
                "page_bytes": 1 << 20,
                "disk_count": 64,
                "media_ns": 2 * _MS,
            }
        ],
        "volumes": [{"name": "v1", "pool": "p1", "capacity_bytes": HOSTS * _GIB}],
        "exports": [{"volume": "v1", "host": _name(n), "lun": 0} for n in range(HOSTS)],
    }


def _host(number: int, case: _Run) -> dict[str, Any]:
    control, balanced = REMEDIES[case.remedy]
    name = _name(number)
    disk = {"name": "d0", "device": "a1.v1", "capacity_bytes": _GIB}
    return {
        "name": name,
        "initiators": [{"name": f"{name}-a", "fabric": "a"}],
        "lun_queue_depth": DEPTH,
        "selector": "QUEUE_LENGTH" if balanced else "FIRST_AVAILABLE",
        "queue_control": {"rule": "FIXED"} if case.greedy and name == _GREEDY else control,
        "vms": [
            {
                "name": "v",
                "disks": [disk | {"device_offset_bytes": number * _GIB}],
                "jobs": [{"name": "j0", "disk": "d0", "iodepth": DEPTH, "read_ratio": 0.0}],
            }
        ],
    }


def _name(number: int) -> str:
    return f"h{number:02}"


def _devices(stack: Smokestack) -> list[Any]:
    return [stack.multipath.hosts[_name(n)].devices["a1.v1"] for n in range(HOSTS)]


def _ios(before: Sequence[Any], after: Sequence[Any]) -> list[int]:
    return [b.queue.ios_count - a.queue.ios_count for a, b in zip(before, after, strict=True)]


def _refusals(statistics: Any) -> int:
    return int(statistics.task_set_full_count + statistics.busy_count)


def _by_remedy(rows: Sequence[Row], delay_us: int, greedy: bool = False) -> dict[str, Row]:
    return {
        row["remedy"]: row
        for row in rows
        if row["retry_delay_us"] == delay_us and row["greedy_host"] == greedy
    }


def _throttle_works(rows: Sequence[Row], delay_us: int) -> list[Claim]:
    """The window rule throttles at 4 of 32; the counter rule grows by 4 good ones in a row."""
    found = {name: row["refused_ratio"] for name, row in _by_remedy(rows, delay_us).items()}
    at = f"retrying after {delay_us / 1_000:g} ms"
    return [
        Claim(
            f"throttle-works-{rule}-{delay_us}us",
            MUST_HOLD,
            f"The {rule} rule keeps refusals below {most:.1%} of attempts, {at}",
            figure=found[rule],
            baseline=most,
            holds=found[rule] < most,
        )
        for rule, most in (("window", 4 / 32), ("counter", 0.5))
    ] + [
        Claim(
            f"throttle-works-fixed-{delay_us}us",
            MUST_HOLD,
            f"A fixed depth has more attempts refused than either rule, {at}",
            figure=found["fixed"],
            baseline=max(found["window"], found["counter"]),
            holds=found["fixed"] > max(found["window"], found["counter"]),
        )
    ]


def _starved_by_greed(rows: Sequence[Row], delay_us: int) -> list[Claim]:
    alone = _by_remedy(rows, delay_us, greedy=True)["window"]["greedy_share"]
    spread = _by_remedy(rows, delay_us)["window"]["spread"]
    at = f"retrying after {delay_us / 1_000:g} ms"
    return [
        Claim(
            f"starved-by-greed-{delay_us}us",
            MUST_HOLD,
            f"One host without a throttle gets 1.5 times the others' mean share at least, {at}",
            figure=alone,
            baseline=1.5,
            holds=alone >= 1.5,
        ),
        Claim(
            f"fair-when-all-throttle-{delay_us}us",
            MUST_HOLD,
            f"With the window rule everywhere, no share is more than 5 % off the mean, {at}",
            figure=spread,
            baseline=0.05,
            holds=spread <= 0.05,
        ),
    ]


def _is_it_enough(rows: Sequence[Row]) -> list[Claim]:
    """Expected: it ends the refusals, and nothing else; paths and latency do what it cannot."""
    found = _by_remedy(rows, DELAYS_US[0])
    fixed, window, balanced = (found[name] for name in ("fixed", "window", "balanced"))
    other = _by_remedy(rows, DELAYS_US[1])
    parda = found["parda"]
    best = min(found.values(), key=lambda row: row["p99_ns"])
    return [
        Claim(
            "enough-for-throughput",
            FINDING,
            "The window rule carries more a second than a fixed depth by a twentieth at least",
            figure=round(window["iops"] / fixed["iops"], 3),
            baseline=1.05,
            holds=window["iops"] >= 1.05 * fixed["iops"],
        ),
        Claim(
            "enough-for-the-tail",
            FINDING,
            "The window rule's p99 is lower than a fixed depth's",
            figure=window["p99_ns"],
            baseline=fixed["p99_ns"],
            holds=window["p99_ns"] < fixed["p99_ns"],
        ),
        Claim(
            "waits-in-the-host-instead",
            FINDING,
            "What the window rule keeps off the array waits in the host: its guests' mean time in "
            "the kernel is within a tenth of a fixed depth's",
            figure=window["kernel_mean_ns"],
            baseline=fixed["kernel_mean_ns"],
            holds=abs(window["kernel_mean_ns"] / fixed["kernel_mean_ns"] - 1) <= 0.1,
        ),
        Claim(
            "balanced-paths-alone",
            FINDING,
            "Four paths in balance have nothing refused, without any throttle",
            figure=balanced["refused_ratio"],
            baseline=0.0,
            holds=balanced["refused_ratio"] == 0,
        ),
        Claim(
            "parda-alone",
            FINDING,
            "Windows by shared latency have fewer refused than the window rule",
            figure=parda["refused_ratio"],
            baseline=window["refused_ratio"],
            holds=parda["refused_ratio"] < window["refused_ratio"],
        ),
        Claim(
            "shortest-tail",
            FINDING,
            f"{best['remedy']} has the lowest p99 of all, and is more than the throttle alone",
            figure=best["p99_ns"],
            baseline=window["p99_ns"],
            holds=best["remedy"] not in ("counter", "window"),
        ),
        Claim(
            "the-delay-matters-without-a-throttle",
            FINDING,
            "With a fixed depth, retrying after 5 ms has fewer attempts refused than after 0.5 ms",
            figure=other["fixed"]["refused_ratio"],
            baseline=fixed["refused_ratio"],
            holds=other["fixed"]["refused_ratio"] < fixed["refused_ratio"],
        ),
    ]


EXPERIMENT = QueueDepth()
