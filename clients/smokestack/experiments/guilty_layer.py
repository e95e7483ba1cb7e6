"""Which layer is guilty of a VM's latency, and which device in it: guests cannot tell, joins can.

Each case plants one culprit in host, fabric or array, or none, and tunes its strength until the
guest waits as long as in all other cases.  Then the estate is asked, which sees what monitors see.
More than a quarter of the culprits are a neighbour that takes its frames late: its victim's own
link, port and array do nothing wrong.  In half of all cases the pool of another neighbour is slow,
which is true and no concern of the victim's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Final

from smokestack.v1 import estate_pb2, hypervisor_pb2

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

_MS: Final = 1_000_000
_FABRICS: Final = {"a": "p0", "b": "p1"}
_CONTROLLERS: Final = {"p0": "c0", "p1": "c1"}
_HOSTS: Final = {"h1": "v1", "h2": "v2", "h3": "v3"}  # the first has the victim
_VICTIM: Final = "hosts/h1/vms/victim/disks/d0"
_DEVICE: Final = "multipaths/m1/hosts/h1/devices/a1.v1"
_VOLUME_BYTES: Final = 64 << 20
_BLOCK: Final = 16_384
_WAIT_NS: Final = 1_500_000  # what guests of all culprits are made to wait
_TOLERANCE: Final = 0.04  # by how much that may be missed
_MATCHED: Final = 1.1  # most that the longest may be of the shortest
_TRIALS_MAX: Final = 24
_VICTIMS: Final = "slow-drain-elsewhere"
_BY_CHANCE: Final = ("damaged-frames", "full-port")  # what is hit is sent again
_DECOY: Final = 30_000  # per mille of its time that a pool takes which is no concern of the victim
CLEAN: Final = "clean"
NONE: Final = "NONE"

# Kind → its layer, and between which strengths it is tuned; what they mean is `_plant`'s.
KINDS: Final[dict[str, tuple[str, int, int]]] = {
    "short-lun-queue": ("HOST", 1, 256),  # commands that the victim keeps outstanding
    "short-adapter-queue": ("HOST", 1, 256),
    "noisy-vm": ("HOST", 1, 1024),  # commands that the other VM keeps outstanding
    _VICTIMS: ("FABRIC", 1_000, 10_000_000),  # per mille of what a frame takes
    "slow-drain-own": ("FABRIC", 1_000, 10_000_000),
    "narrow-trunk": ("FABRIC", 1_000, 10_000_000),  # nanoseconds a MiB takes, in thousands
    "damaged-frames": ("FABRIC", 1_000, 10_000_000),  # sendings of an I/O, in thousandths
    "slow-controller": ("ARRAY", 1_000, 10_000_000),  # per mille of its time
    "slow-media": ("ARRAY", 1_000, 10_000_000),
    "full-port": ("ARRAY", 1_000, 10_000_000),  # sendings of an I/O, in thousandths
}


@dataclass(frozen=True)
class Parameters:
    """How many cases of each kind, and how long each is looked at."""

    victims: int  # of somebody else's slow drain
    others: int  # of each other kind
    clean: int
    warm_ms: int
    seen_ms: int


@dataclass(frozen=True, kw_only=True)
class _Planted(Case):
    kind: str
    parameters: Parameters


class GuiltyLayer(Experiment[Parameters, _Planted]):
    """Plants a culprit, and asks who it is."""

    name = "guilty-layer"
    summary = "Which layer and device are guilty of a VM's latency, told from counters of all"
    sizes: ClassVar = {
        "small": Parameters(victims=4, others=1, clean=4, warm_ms=20, seen_ms=60),
        "default": Parameters(victims=28, others=8, clean=100, warm_ms=20, seen_ms=60),
    }

    def cases(self, plan: Plan[Parameters]) -> list[_Planted]:
        """Returns the cases of each kind, each with a seed of its own."""
        parameters = plan.parameters
        counts = dict.fromkeys(KINDS, parameters.others)
        counts |= {_VICTIMS: parameters.victims, CLEAN: parameters.clean}
        kinds = [kind for kind, count in counts.items() for _ in range(count)]
        return [
            _Planted(seed=plan.seed * 1_000 + n, kind=kind, parameters=parameters)
            for n, kind in enumerate(kinds)
        ]

    def system(self, case: _Planted) -> dict[str, Any]:
        """Returns three hosts on two fabrics, and an array of a port and controller on each."""
        latency = {"forward_latency_ns": 20_000, "return_latency_ns": 20_000}
        station = {"core_count": 2, "read_ns": 10_000, "write_ns": 10_000}
        array = {
            "name": "a1",
            "controllers": [
                {"name": name, "write_back": False, **station} for name in _CONTROLLERS.values()
            ],
            "ports": [
                {"name": port, "controller": _CONTROLLERS[port], "fabric": fabric, **latency}
                | {"bandwidth_bytes_per_second": 1_600_000_000}
                for fabric, port in _FABRICS.items()
            ],
            "pools": [
                {"name": f"of-{volume}", "capacity_bytes": _VOLUME_BYTES}
                | {"disk_count": 16, "media_ns": 40_000}
                for volume in _HOSTS.values()
            ],
            "volumes": [
                {"name": volume, "pool": f"of-{volume}", "capacity_bytes": _VOLUME_BYTES}
                for volume in _HOSTS.values()
            ],
            "exports": [{"volume": volume, "host": host} for host, volume in _HOSTS.items()],
        }
        return {
            "fabrics": list(_FABRICS),
            "arrays": [array],
            "multipath": {"name": "m1"},
            "hosts": [_host(host, volume) for host, volume in _HOSTS.items()],
        }

    def run(self, stack: Smokestack, case: _Planted) -> list[Row]:
        """Tunes the culprit's strength on one stack, reset each time; asks when it fits."""
        draw = Random(case.seed)
        layer, low, high = KINDS.get(case.kind, (NONE, 1, 1))
        where = draw.choice(list(_FABRICS)), draw.choice(["h2", "h3"])
        depths = {host: draw.randrange(1, 9) for host in _HOSTS}
        decoy = draw.random() < 0.5
        for trial in range(1, _TRIALS_MAX + 1):
            if trial > 1:
                stack.reset(case.seed)
            strength = round(sqrt(low * high))
            culprit = _plant(stack, case.kind, strength, where, depths)
            if decoy:
                other = f"arrays/a1/pools/of-{'v3' if where[1] == 'h2' else 'v2'}"
                stack.array("a1").faults.inject(
                    "MEDIA_SLOW", other, "decoy", factor_per_mille=_DECOY
                )
            row = _asked(stack, case.parameters)
            error = row["guest_mean_ns"] / _WAIT_NS - 1
            if layer == NONE or abs(error) <= _TOLERANCE or high - low <= 1:
                break
            low, high = (low, strength) if error > 0 else (strength, high)
        planted = {"seed": case.seed, "kind": case.kind, "layer": layer, "culprit": culprit}
        return [planted | {"decoy": decoy, "strength": strength, "trials": trial} | row]

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Counts who was named right, and what guests alone could have told."""
        planted = [row for row in rows if row["layer"] != NONE]
        clean = [row for row in rows if row["layer"] == NONE]
        right = sum(_right(row) for row in planted)
        accused = sum(row["named_layer"] != NONE for row in clean)
        means = [row["guest_mean_ns"] for row in planted]
        victims = [row for row in planted if row["kind"] == _VICTIMS]
        return [
            Claim(
                "names-the-culprit",
                MUST_HOLD,
                f"Of {len(planted)} culprits, {len(victims)} of them others' slow drains, 95 in "
                f"100 are named right, with the device; of {len(clean)} clean cases 5 in 100 are "
                "accused at most",
                figure={"right": right, "accused": accused},
                baseline={"right": len(planted), "accused": 0},
                holds=right >= 0.95 * len(planted)
                and accused <= 0.05 * len(clean)
                and 4 * len(victims) >= len(planted),
            ),
            Claim(
                "guests-wait-alike",
                MUST_HOLD,
                "Whoever is guilty, guests' mean latencies are within 10 %: the longest by the "
                "shortest",
                figure=round(max(means) / min(means), 4),
                baseline=_MATCHED,
                holds=max(means) <= _MATCHED * min(means),
            ),
            Claim(
                "shares-add-up",
                MUST_HOLD,
                "Host, fabric and array shares add up to what the device's guests waited, in all "
                "cases",
                figure=sum(row["shares_ns"] == row["waited_ns"] for row in rows),
                baseline=len(rows),
                holds=all(row["shares_ns"] == row["waited_ns"] for row in rows),
            ),
            _guests_alone(planted),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws the split of an I/O's time by kind of culprit."""
        axes = figure.subplots()
        kinds = [*KINDS, CLEAN]
        below = [0.0] * len(kinds)
        for share in ("host", "fabric", "array"):
            heights = []
            for kind in kinds:
                found = [row[f"{share}_ns"] for row in rows if row["kind"] == kind]
                heights.append(sum(found) / max(len(found), 1) / 1_000)
            axes.barh(kinds, heights, left=below, label=share)
            below = [a + b for a, b in zip(below, heights, strict=True)]
        axes.set_xlabel("mean latency of the device's I/O, us")
        axes.invert_yaxis()
        axes.legend(loc="lower center")


def _host(host: str, volume: str) -> dict[str, Any]:
    vms = ["victim", "other"] if host == "h1" else ["neighbour"]
    share = _VOLUME_BYTES // len(vms)
    return {
        "name": host,
        "initiators": [{"name": f"{host}-{fabric}", "fabric": fabric} for fabric in _FABRICS],
        "selector": "ROUND_ROBIN",
        "ios_per_path": 1,
        "lun_queue_depth": 256,
        "sched_num_req_outstanding": 256,
        "vms": [
            {
                "name": vm,
                "disks": [
                    {"name": "d0", "device": f"a1.{volume}", "capacity_bytes": share}
                    | {"device_offset_bytes": n * share}
                ],
            }
            for n, vm in enumerate(vms)
        ],
    }


def _work(stack: Smokestack, host: str, vm: str, iodepth: int) -> None:
    blocks = [hypervisor_pb2.BlockSize(length_bytes=_BLOCK)]
    jobs = stack.hosts[host].vms[vm].jobs
    jobs.create("j0", disk="d0", iodepth=iodepth, read_ratio=1.0, block_sizes=blocks)


def _plant(
    stack: Smokestack,
    kind: str,
    strength: int,
    where: tuple[str, str],
    depths: dict[str, int],
) -> str:
    """Puts hosts to work and a culprit in place; returns its full name, or nothing."""
    for volume in _HOSTS.values():
        stack.pools[f"of-{volume}"].fill(1.0)
    host_side = KINDS.get(kind, ("",))[0] == "HOST"
    own = 16
    if kind == CLEAN:
        own = 2 * depths["h1"]
    elif host_side:
        own = 4 if kind == "noisy-vm" else strength
    _work(stack, "h1", "victim", own)
    for host in ("h2", "h3"):
        _work(stack, host, "neighbour", depths[host] if kind == CLEAN else 4)
    if kind == CLEAN:
        return ""
    return (
        _in_host(stack, kind, strength, where[0])
        if host_side
        else (_below(stack, kind, strength, *where))
    )


def _in_host(stack: Smokestack, kind: str, strength: int, fabric: str) -> str:
    host = stack.multipath.hosts["h1"]
    if kind == "short-adapter-queue":
        adapter = host.adapters[f"h1-{fabric}"]
        adapter.update(queue_depth=1)
        return str(adapter.name)
    if kind == "short-lun-queue":
        host.devices["a1.v1"].update(lun_queue_depth=1)
        return _DEVICE
    host.devices["a1.v1"].update(lun_queue_depth=8)
    _work(stack, "h1", "other", strength)
    return "hosts/h1/vms/other"


def _below(stack: Smokestack, kind: str, strength: int, fabric: str, host: str) -> str:
    links = f"multipaths/m1/fabrics/{fabric}/links"
    port = _FABRICS[fabric]
    if kind == "narrow-trunk":
        rate = (1 << 20) * 10**6 // strength
        stack.multipath.fabrics[fabric].update(trunk_bandwidth_bytes_per_second=rate)
        return f"{links}/trunk"
    if kind in _BY_CHANCE:  # on the only path: on two, the other one helps
        for path in stack.multipath.hosts["h1"].devices["a1.v1"].paths:
            if path.initiator != f"h1-{fabric}":
                path.update(enabled=False)
    culprit, fault = {
        _VICTIMS: (f"{links}/{host}-{fabric}", "SLOW_DRAIN"),
        "slow-drain-own": (f"{links}/h1-{fabric}", "SLOW_DRAIN"),
        "damaged-frames": (f"{links}/h1-{fabric}", "FRAME_DAMAGED"),
        "slow-controller": (f"arrays/a1/controllers/{_CONTROLLERS[port]}", "CONTROLLER_SLOW"),
        "slow-media": ("arrays/a1/pools/of-v1", "MEDIA_SLOW"),
        "full-port": (f"arrays/a1/ports/{port}", "TASK_SET_FULL"),
    }[kind]
    service: Any = stack.array("a1") if culprit.startswith("arrays/") else stack.multipath
    if kind in _BY_CHANCE:
        service.faults.inject(fault, culprit, "planted", probability=1 - 1_000 / strength)
    else:
        service.faults.inject(fault, culprit, "planted", factor_per_mille=strength)
    return culprit


def _asked(stack: Smokestack, parameters: Parameters) -> Row:
    """Returns how long the guest waited, and whom the estate names for it."""
    stack.advance(seconds=parameters.warm_ms / 1_000)
    since, before = stack.mark_latency(_VICTIM), _guest(stack)
    stack.advance(seconds=parameters.seen_ms / 1_000)
    count, waited_ns = (b - a for a, b in zip(before, _guest(stack), strict=True))
    found = stack.attribute_latency(since)
    shares = {
        "host_ns": found.host_total_ns,
        "fabric_ns": found.fabric_total_ns,
        "array_ns": found.array_total_ns,
    }
    named = estate_pb2.LatencyLayer.Name(found.layer) if found.layer else NONE
    return {
        "guest_mean_ns": waited_ns // max(count, 1),
        "named_layer": named.removeprefix("LATENCY_LAYER_"),
        "named": found.culprit,
        "floor_ns": found.floor_ns,
        "waited_ns": found.guest_total_ns,
        "shares_ns": sum(shares.values()),
        **{key: value // found.io_count for key, value in shares.items()},
    }


def _guest(stack: Smokestack) -> tuple[int, int]:
    [row] = [disk for disk in stack.statistics().disks if disk.disk == _VICTIM]
    return row.latency.count, row.latency.count * row.latency.mean_ns


def _right(row: Row) -> bool:
    return bool(row["named_layer"] == row["layer"] and row["named"] == row["culprit"])


def _centroids(rows: Sequence[Row]) -> Iterator[tuple[float, str]]:
    for layer in sorted({row["layer"] for row in rows}):
        means = [row["guest_mean_ns"] for row in rows if row["layer"] == layer]
        yield sum(means) / len(means), layer


def _guests_alone(planted: Sequence[Row]) -> Claim:
    """Learns from every other case, and guesses the rest by guest latency."""
    learned, asked = list(_centroids(planted[::2])), planted[1::2]
    guesses = [min(learned, key=lambda c: abs(c[0] - row["guest_mean_ns"]))[1] for row in asked]
    hits = sum(guess == row["layer"] for guess, row in zip(guesses, asked, strict=True))
    [(_, most)] = Counter(row["layer"] for row in asked).most_common(1)
    return Claim(
        "guests-cannot-tell",
        FINDING,
        "A nearest-centroid classifier of guest latency names the layer no more often than who "
        "always names the commonest",
        figure=round(hits / len(asked), 3),
        baseline=round(most / len(asked), 3),
        holds=hits <= most,
    )


EXPERIMENT = GuiltyLayer()
