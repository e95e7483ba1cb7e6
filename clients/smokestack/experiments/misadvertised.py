"""An advertised resource isn't what it says it is: who notices, and how long that takes (S13).

One lie is told on each stack: about a volume's size, a pool's space, a latency, a path's state, an
identity.  Guests work, administrators rescan now and then and use what they are offered.  An audit
looks at fixed steps of virtual time; of each view it is noted when it first sees the lie.  Beside
these runs an honest one: the same work, where nothing may be found, though its pool runs dry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from .experiment import FINDING, MUST_HOLD, Case, Claim, Experiment, Plan, Row

if TYPE_CHECKING:
    from smokestack.testing import Smokestack

HONEST = "HONEST"
LIES = (
    "VOLUME_OVERSTATED",
    "POOL_OVERSTATED",
    "LATENCY_UNDERSTATED",
    "PATH_FALSELY_DEAD",
    "NOT_READY",
    "IDENTITY_CHANGED",
    "WRONG_VOLUME",
)
VIEWS = ("ARRAY", "HOST", "JOINED")
_FACTORS = {
    "VOLUME_OVERSTATED": 2_000,
    "POOL_OVERSTATED": 1_500,
    "LATENCY_UNDERSTATED": 3_000,
}
_FABRICS = ("fabric-a", "fabric-b")
_HOSTS = {"h1": ("v1", "v2"), "h2": ("v3", "v4")}
_VOLUMES = tuple(volume for volumes in _HOSTS.values() for volume in volumes)
_PAGE_BYTES = 16 << 10
_MS = 1_000_000


@dataclass(frozen=True)
class Parameters:
    """How often, how long, how finely it is looked at, and what there is to fill."""

    runs: int
    until_ms: int
    step_ms: int
    rescan_ms: int
    volume_mib: int
    iodepth: int


@dataclass(frozen=True, kw_only=True)
class _Told(Case):
    """A stack with one lie, or with none."""

    lie: str
    target: str
    begin_ns: int
    parameters: Parameters


class Misadvertised(Experiment[Parameters, _Told]):
    """Tells each lie once a run, of a resource and from a time that the seed draws."""

    name = "misadvertised"
    summary = "What is not as it is advertised, who sees it, and how long each view stays blind"
    sizes: ClassVar = {
        "small": Parameters(1, until_ms=300, step_ms=10, rescan_ms=70, volume_mib=4, iodepth=2),
        "default": Parameters(
            4, until_ms=1_500, step_ms=10, rescan_ms=200, volume_mib=32, iodepth=2
        ),
        "large": Parameters(
            20, until_ms=4_000, step_ms=10, rescan_ms=500, volume_mib=64, iodepth=2
        ),
    }

    def cases(self, plan: Plan[Parameters]) -> list[_Told]:
        """Returns each lie and none at all, with each seed."""
        return [
            _told(plan.parameters, plan.seed + run, lie)
            for run in range(plan.parameters.runs)
            for lie in (HONEST, *LIES)
        ]

    def system(self, case: _Told) -> dict[str, Any]:
        """Returns two hosts on one array, whose pool holds three quarters of what is promised."""
        size = case.parameters.volume_mib << 20
        return {
            "fabrics": list(_FABRICS),
            "arrays": [
                {
                    "name": "a1",
                    "controllers": [{"name": "c0"}],
                    "ports": [
                        {"name": f"p{n}", "controller": "c0", "fabric": fabric}
                        for n, fabric in enumerate(_FABRICS)
                    ],
                    "pools": [
                        {
                            "name": "p1",
                            "capacity_bytes": size * len(_VOLUMES) * 3 // 4,
                            "page_bytes": _PAGE_BYTES,
                        }
                    ],
                    "volumes": [
                        {"name": volume, "pool": "p1", "capacity_bytes": size}
                        for volume in _VOLUMES
                    ],
                    "exports": [
                        {"volume": volume, "host": host}
                        for host, volumes in _HOSTS.items()
                        for volume in volumes
                    ],
                }
            ],
            "multipath": {"name": "m1"},
            "hosts": [
                {
                    "name": host,
                    "initiators": [
                        {"name": f"{host}-{n}", "fabric": fabric}
                        for n, fabric in enumerate(_FABRICS)
                    ],
                    "vms": [
                        {"name": volume, "disks": [{"name": "d0", "device": f"a1.{volume}"}]}
                        for volume in volumes
                    ],
                }
                for host, volumes in _HOSTS.items()
            ],
        }

    def workload(self, stack: Smokestack, case: _Told) -> None:
        """Starts a closed loop in each VM, and prepares the lie."""
        for host, volumes in _HOSTS.items():
            for volume in volumes:
                _work(stack.hosts[host].vms[volume], "d0", case.parameters.iodepth)
        if case.lie == HONEST:
            return
        layer = stack.multipath if case.lie == "PATH_FALSELY_DEAD" else stack.array("a1")
        layer.faults.inject(
            case.lie,
            case.target,
            "lie",
            start_ns=case.begin_ns,
            factor_per_mille=_FACTORS.get(case.lie, 0),
        )

    def run(self, stack: Smokestack, case: _Told) -> list[Row]:
        """Audits at each step; returns when each view first saw the lie, and what else it saw."""
        seen: dict[str, int] = {}
        false = dict.fromkeys(VIEWS, 0)
        parameters = case.parameters
        for now_ms in range(0, parameters.until_ms + 1, parameters.step_ms):
            stack.advance(until_ns=now_ms * _MS)
            if now_ms and now_ms % parameters.rescan_ms == 0:
                _administer(stack, parameters)
            for finding in stack.audit().findings:
                for view in map(_view, finding.views):
                    if not _is_about(finding, case):
                        false[view] += 1
                    elif view not in seen:
                        seen[view] = now_ms * _MS
        return [
            {
                "seed": case.seed,
                "lie": case.lie,
                "target": case.target,
                "view": view,
                "begin_ns": None if case.lie == HONEST else case.begin_ns,
                "blind_ns": seen[view] - case.begin_ns if view in seen else None,
                "false_findings": false[view],
            }
            for view in VIEWS
        ]

    def claims(self, parameters: Parameters, rows: Sequence[Row]) -> list[Claim]:
        """Counts what was planted and what was found, and compares how long views were blind."""
        lies = [row for row in rows if row["lie"] != HONEST]
        planted = len(lies) // len(VIEWS)
        found = {view: [row for row in lies if row["view"] == view and _saw(row)] for view in VIEWS}
        false = sum(row["false_findings"] for row in rows)
        joined = [row for row in lies if row["view"] == "JOINED"]
        sooner = sum(
            row["blind_ns"] > _joined(row, joined) for row in found["ARRAY"] + found["HOST"]
        )
        return [
            Claim(
                "joined-sees-all",
                MUST_HOLD,
                "The joined audit finds every lie of each kind, and nothing else, where all is "
                "honest nothing at all",
                figure={"found": len(found["JOINED"]), "false": false},
                baseline={"found": planted, "false": 0},
                holds=len(found["JOINED"]) == planted and not false,
            ),
            *[
                Claim(
                    f"{view.lower()}-alone-is-blind",
                    FINDING,
                    f"Some lies the {view.lower()}'s own figures never show: "
                    f"seen of {', '.join(_kinds(found[view])) or 'none'}",
                    figure=len(found[view]),
                    baseline=planted,
                    holds=len(found[view]) < planted,
                )
                for view in ("ARRAY", "HOST")
            ],
            Claim(
                "joined-is-sooner",
                FINDING,
                "Of the lies that one view sees alone, both joined see some sooner",
                figure=sooner,
                baseline=len(found["ARRAY"]) + len(found["HOST"]),
                holds=sooner > 0,
            ),
        ]

    def plot(self, figure: Any, parameters: Parameters, rows: Sequence[Row]) -> None:
        """Draws how long each view stayed blind to each kind of lie; never stands at the right."""
        axes = figure.add_subplot()
        never = parameters.until_ms * 1.08
        for at, view in enumerate(VIEWS):
            own = [row for row in rows if row["view"] == view and row["lie"] != HONEST]
            axes.scatter(
                [row["blind_ns"] / _MS if _saw(row) else never for row in own],
                [LIES.index(row["lie"]) + 0.22 * (at - 1) for row in own],
                marker="osD"[at],
                alpha=0.7,
                label=f"{view.lower()} alone" if view != "JOINED" else "joined",
            )
        axes.axvline(parameters.until_ms, color="grey", linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(LIES)), [lie.lower().replace("_", " ") for lie in LIES])
        axes.invert_yaxis()
        axes.set_xlabel("virtual milliseconds from the lie's beginning until it is seen")
        ticks = [parameters.until_ms * quarter // 4 for quarter in range(5)]
        axes.set_xticks([*ticks, never], [*map(str, ticks[:-1]), "", "never"])
        axes.legend(loc="center", bbox_to_anchor=(0.72, 0.5))


def _told(parameters: Parameters, seed: int, lie: str) -> _Told:
    """Draws what a lie is about, and when it begins."""
    draw = Random(f"{seed} {lie}")
    host = draw.choice(sorted(_HOSTS))
    volume = draw.choice(_HOSTS[host])
    device = f"multipaths/m1/hosts/{host}/devices/a1.{volume}"
    targets = {
        HONEST: "",
        "POOL_OVERSTATED": "arrays/a1/pools/p1",
        "WRONG_VOLUME": f"arrays/a1/exports/{volume}.{host}",
        "PATH_FALSELY_DEAD": f"{device}/paths/{host}-0.p0",
    }
    begin_ns = draw.randrange(parameters.until_ms * _MS // 10, parameters.until_ms * _MS // 3)
    return _Told(
        seed=seed,
        lie=lie,
        target=targets.get(lie, f"arrays/a1/volumes/{volume}"),
        begin_ns=begin_ns,
        parameters=parameters,
    )


def _work(vm: Any, disk: str, iodepth: int) -> None:
    vm.jobs.create(f"on-{disk}", disk=disk, iodepth=iodepth, read_ratio=0.5, error_backoff_ns=_MS)


def _administer(stack: Smokestack, parameters: Parameters) -> None:
    """Rescans all hosts, and puts to use what devices have more than a VM has of them."""
    for host, volumes in _HOSTS.items():
        stack.multipath.hosts[host].rescan()
        for volume in volumes:
            device = stack.multipath.hosts[host].devices.get(f"a1.{volume}")
            used, vm = parameters.volume_mib << 20, stack.hosts[host].vms[volume]
            if device.capacity_bytes > used and "d1" not in vm.disks:
                vm.disks.create("d1", device=device.id, device_offset_bytes=used)
                _work(vm, "d1", parameters.iodepth)


def _view(number: int) -> str:
    return VIEWS[number - 1]


def _is_about(finding: Any, case: _Told) -> bool:
    """Whether a finding names what the lie is about, and how it lies."""
    resource, kind = finding.resource, finding.kind
    if case.lie == HONEST or kind != _kind(case.lie):
        return False
    volume = case.target.rpartition("/")[2].partition(".")[0]
    if case.lie == "NOT_READY":
        return f"/devices/a1.{volume}/paths/" in resource
    if case.lie in ("IDENTITY_CHANGED", "WRONG_VOLUME"):
        return bool(resource.endswith((f"/devices/a1.{volume}", f"/volumes/{volume}")))
    return bool(resource == case.target)


def _kind(lie: str) -> int:
    """Returns the kind of finding that is about a kind of lie."""
    from smokestack.v1 import estate_pb2 as pb

    if lie.endswith("OVERSTATED"):
        return pb.AUDIT_KIND_CAPACITY
    if lie in ("PATH_FALSELY_DEAD", "NOT_READY"):
        return pb.AUDIT_KIND_PATH_STATE
    return pb.AUDIT_KIND_LATENCY if lie == "LATENCY_UNDERSTATED" else pb.AUDIT_KIND_IDENTITY


def _saw(row: Row) -> bool:
    return row["blind_ns"] is not None


def _joined(row: Row, joined: Sequence[Row]) -> float:
    """Returns how long both joined were blind to the lie of a row."""
    of = next(j for j in joined if (j["seed"], j["lie"]) == (row["seed"], row["lie"]))
    return float("inf") if of["blind_ns"] is None else float(of["blind_ns"])


def _kinds(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["lie"] for row in rows))


EXPERIMENT = Misadvertised()
