"""Stovepipes: a vendor's plug-in sees its own arrays, and nobody else's.

The system is a fleet of three vendors' arrays, on each of which a greedy host has filled the first
port.  Host h1 works on two of them through the same adapters, host h3 on the third, on fabrics of
its own.  What is compared is whose software chooses the paths: the default policy everywhere, one
vendor's plug-in, a plug-in of each vendor, or one generic policy for all arrays alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

# Array → its vendor, its fabrics, the host that is looked at there, and the greedy one.
_FLEET: Final = {
    "a1": ("3PARdata", ("fa", "fb"), "h1", "n1"),
    "a2": ("COMPELNT", ("fa", "fb"), "h1", "n2"),
    "a3": ("EMC", ("fc", "fd"), "h3", "n3"),
}
_DEPTH: Final = 16  # of what is looked at
_GREED: Final = 48  # outstanding on the first port of each array, all the time
_ADAPTER: Final = 26  # of 32 that h1 may want at once: what its arrays share can be felt
_GIB: Final = 1 << 30

Rules = tuple[str, ...]  # vendors whose plug-ins are installed
# What the two hosts run: whose plug-ins, and the policy of what these leave.
MODES: Final[dict[str, tuple[Rules, str]]] = {
    "default": ((), "ROUND_ROBIN"),
    "one plug-in": (("3PARdata",), "ROUND_ROBIN"),
    "three plug-ins": (("3PARdata", "COMPELNT", "EMC"), "ROUND_ROBIN"),
    "generic queue length": ((), "QUEUE_LENGTH"),
    "generic service time": ((), "SERVICE_TIME"),
    "generic historical service time": ((), "HISTORICAL_SERVICE_TIME"),
}


@dataclass(frozen=True)
class Parameters:
    """How long each run is."""

    virtual_ms: int


@dataclass(frozen=True, kw_only=True)
class _Run(Case):
    mode: str
    virtual_ms: int


class Stovepipe(Experiment[Parameters, _Run]):
    """Runs the same fleet under each choice of software."""

    name = "stovepipe"
    summary = "A vendor's plug-in against a generic policy, in a fleet of three vendors"
    sizes: ClassVar = {
        "small": Parameters(virtual_ms=100),
        "default": Parameters(virtual_ms=1_000),
    }

    def cases(self, plan: Plan[Parameters]) -> list[_Run]:
        """Returns a run for each mode."""
        virtual_ms = plan.parameters.virtual_ms
        return [_Run(seed=plan.seed, mode=mode, virtual_ms=virtual_ms) for mode in MODES]

    def system(self, case: _Run) -> dict[str, Any]:
        """Returns three arrays, the two hosts that are looked at, and three greedy ones."""
        rules, policy = MODES[case.mode]
        looked_at = {
            "selector": policy,
            "ios_per_path": 1,
            "adapter_queue_depth": _ADAPTER,
            "claim_rules": [{"plugin": "VENDOR", "plugin_vendor": vendor} for vendor in rules],
        }
        hosts = [
            _host("h1", ("fa", "fb"), ("a1", "a2"), _DEPTH, looked_at),
            _host("h3", ("fc", "fd"), ("a3",), _DEPTH, looked_at),
        ]
        for array, (_, fabrics, _, greedy) in _FLEET.items():
            hosts.append(_host(greedy, fabrics, (array,), _GREED, {"selector": "FIRST_AVAILABLE"}))
        return {
            "fabrics": ["fa", "fb", "fc", "fd"],
            "arrays": [_array(name) for name in _FLEET],
            "multipath": {"name": "m1"},
            "hosts": hosts,
        }

    def run(self, stack: Smokestack, case: _Run) -> list[Row]:
        """Advances, and reads what each host has seen of each array."""
        stack.advance(seconds=case.virtual_ms / 1_000)
        disks = {disk.disk: disk for disk in stack.statistics().disks}
        rows = []
        for array, (vendor, _, host, greedy) in _FLEET.items():
            device = stack.multipath.hosts[host].devices[f"{array}.{host}"]
            found = disks[f"hosts/{host}/vms/{array}/disks/d0"]
            all_of_it = [found, disks[f"hosts/{greedy}/vms/{array}/disks/d0"]]
            text = b"".join(one.SerializeToString(deterministic=True) for one in all_of_it)
            carried = [path.io_count for path in device.paths]
            rows.append(
                {
                    "seed": case.seed,
                    "mode": case.mode,
                    "array": array,
                    "vendor": vendor,
                    "plugin": device.plugin,
                    "policy": device.selector,
                    "iops": round(found.io_count * 1_000 / case.virtual_ms),
                    "mean_ns": found.latency.mean_ns,
                    "p99_ns": found.latency.p99_ns,
                    "full_port_share": round(carried[0] / sum(carried), 4),
                    "digest": hashlib.sha256(text + repr(carried).encode()).hexdigest(),
                }
            )
        return rows

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Compares one plug-in with none, and fleets with one another."""
        return [*_only_its_own(rows), *_fleet(rows)]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws the 99th percentile on each array, a group for each mode."""
        axes = figure.add_subplot()
        width = 0.8 / len(_FLEET)
        for index, (array, (vendor, *_)) in enumerate(_FLEET.items()):
            found = [row["p99_ns"] / 1e6 for row in rows if row["array"] == array]
            places = [place + index * width for place in range(len(MODES))]
            axes.bar(places, found, width, label=f"{array}, {vendor}")
        middle = [place + width * (len(_FLEET) - 1) / 2 for place in range(len(MODES))]
        axes.set_xticks(middle, [mode.replace(" ", "\n", 1) for mode in MODES])
        axes.set_ylabel("99th percentile, ms")
        axes.legend()


def _array(name: str) -> dict[str, Any]:
    vendor, fabrics, host, greedy = _FLEET[name]
    return {
        "name": name,
        "vendor": vendor,
        "hints_enabled": True,
        "controllers": [
            {"name": f"c{n}", "core_count": 64, "read_ns": 1_000, "read_hit_ratio": 1.0}
            for n in range(4)
        ],
        "ports": [
            {
                "name": f"p{n}",
                "controller": f"c{n}",
                "fabric": fabrics[n % 2],
                "command_ns": 20_000,
                "bandwidth_bytes_per_second": 10**9,
            }
            for n in range(4)
        ],
        "pools": [{"name": "p1", "capacity_bytes": 16 * _GIB}],
        "volumes": [
            {"name": owner, "pool": "p1", "capacity_bytes": 4 * _GIB} for owner in (host, greedy)
        ],
        "exports": [{"volume": owner, "host": owner} for owner in (host, greedy)],
    }


def _host(
    name: str, fabrics: Sequence[str], arrays: Sequence[str], depth: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """Returns a host with a VM for each array that it works on."""
    return {
        "name": name,
        "initiators": [{"name": f"{name}-{fabric}", "fabric": fabric} for fabric in fabrics],
        "lun_queue_depth": 64,
        **settings,
        "vms": [
            {
                "name": array,
                "disks": [{"name": "d0", "device": f"{array}.{name}"}],
                "jobs": [{"name": "j0", "disk": "d0", "iodepth": depth}],
            }
            for array in arrays
        ],
    }


def _of(rows: Sequence[Row], mode: str) -> dict[str, Row]:
    return {row["array"]: row for row in rows if row["mode"] == mode}


def _only_its_own(rows: Sequence[Row]) -> list[Claim]:
    before, after = _of(rows, "default"), _of(rows, "one plug-in")
    gain = after["a1"]["p99_ns"] / before["a1"]["p99_ns"]
    claimed = sorted(array for array, row in after.items() if row["plugin"] == "VENDOR")
    moved = max(
        abs(after["a2"][name] / before["a2"][name] - 1) for name in ("iops", "mean_ns", "p99_ns")
    )
    return [
        Claim(
            "only-its-own-helps",
            MUST_HOLD,
            "On its vendor's congested array the plug-in's p99 is 0.8 of the default's at most",
            figure=round(gain, 3),
            baseline=0.8,
            holds=gain <= 0.8,
        ),
        Claim(
            "only-its-own-claims",
            MUST_HOLD,
            "It claims its own vendor's array, and no other, by a rule that matches all",
            figure=claimed,
            baseline=["a1"],
            holds=claimed == ["a1"],
        ),
        Claim(
            "only-its-own-apart",
            MUST_HOLD,
            "On an array that shares nothing with it, all figures of all hosts stay the same",
            figure=after["a3"]["digest"],
            baseline=before["a3"]["digest"],
            holds=after["a3"]["digest"] == before["a3"]["digest"],
        ),
        Claim(
            "only-its-own-shared",
            MUST_HOLD,
            "Behind the same adapters, another vendor's array stays within 2 %",
            figure=round(moved, 4),
            baseline=0.02,
            holds=moved <= 0.02,
        ),
    ]


def _fleet(rows: Sequence[Row]) -> list[Claim]:
    """Expected: one stovepipe leaves the fleet's tail where it was, a generic policy does not."""
    worst = {mode: max(row["p99_ns"] for row in _of(rows, mode).values()) for mode in MODES}
    generic = min((mode for mode in MODES if mode.startswith("generic")), key=lambda m: worst[m])
    return [
        Claim(
            "one-is-not-enough",
            FINDING,
            "One vendor's plug-in leaves the fleet's worst p99, in ns, where it was",
            figure=worst["one plug-in"],
            baseline=worst["default"],
            holds=abs(worst["one plug-in"] / worst["default"] - 1) <= 0.02,
        ),
        Claim(
            "generic-does-for-all",
            FINDING,
            f"{generic.capitalize()} has the fleet's worst p99, in ns, below one plug-in's",
            figure=worst[generic],
            baseline=worst["one plug-in"],
            holds=worst[generic] < worst["one plug-in"],
        ),
        Claim(
            "hints-are-worth-it",
            FINDING,
            f"A plug-in of every vendor has a worst p99, in ns, below that of {generic}: what the "
            "arrays tell is worth more than what a host can measure",
            figure=worst["three plug-ins"],
            baseline=worst[generic],
            holds=worst["three plug-ins"] < worst[generic],
        ),
    ]


EXPERIMENT = Stovepipe()
