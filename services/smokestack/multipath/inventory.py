"""What a rescan changes: devices and paths, from the nexuses that the arrays report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from smokestack.engine.blockdevice import Nexus
from smokestack.engine.labels import Labels

from . import queues
from .claims import claimed
from .queues import Adapters
from .selection import group_paths, map_cpus, set_path_state, set_settings
from .specs import DeviceState, MultipathHostSpec, PathState, Selector
from .state import HEARD_ROWS, NIL, MultipathState


@dataclass
class Path:
    """One I_T_L nexus of a device."""

    name: str  # "<initiator>.<port>"
    array_id: str
    initiator: str
    port: str
    itl: int  # the array's index
    row: int
    fabric: str = ""


@dataclass
class Device:
    """A LUN as one host sees it."""

    name: str  # "a1.v1"
    host_id: str
    array_id: str
    lun: int
    capacity_bytes: int
    row: int
    identifier: str = ""  # as its unit reported it last
    found_identifier: str = ""  # as its unit reported it when the device was found
    preferred_path: str = ""
    labels: Labels = ()
    vendor: str = ""  # as its unit reported itself when the device was found
    model: str = ""
    claimed: Selector = Selector.ROUND_ROBIN  # the policy that its host's claim rules gave it
    paths: dict[str, Path] = field(default_factory=dict)  # by name, sorted by (initiator, port)


def copied(device: Device) -> Device:
    """Returns a copy of a device; a path never changes, the set of them does."""
    return Device(**{**device.__dict__, "paths": device.paths.copy()})


@dataclass(frozen=True)
class RescanResult:
    """What a rescan found and lost."""

    devices_added: int = 0
    devices_removed: int = 0
    paths_added: int = 0
    paths_removed: int = 0


def group(nexuses: Iterable[Nexus]) -> dict[str, list[Nexus]]:
    """Returns nexuses by volume, each volume's sorted by (initiator, target)."""
    found: dict[str, list[Nexus]] = {}
    for nexus in sorted(nexuses, key=lambda n: (n.volume, n.initiator, n.target)):
        found.setdefault(nexus.volume, []).append(nexus)
    return found


def add_device(
    state: MultipathState, spec: MultipathHostSpec, array_id: str, nexus: Nexus
) -> Device:
    """Appends a device's row with its host's defaults."""
    row = state.append("device")
    state.append("kernel_histogram")
    state.append("heard", HEARD_ROWS)
    state.append("policy")
    state.row["device_count"] = row + 1
    state.fit_notes()
    device = state["device"][row]
    device["queue_head"] = device["queue_tail"] = device["current"] = NIL
    state.append("detour_histogram")
    device["world_head"] = NIL
    device["depth"] = device["depth_configured"] = spec.lun_queue_depth
    device["dsnro"] = spec.sched_num_req_outstanding
    device["state"] = DeviceState.ON
    selector = claimed(spec, nexus.vendor, nexus.model, array_id)
    device["selector"] = int(selector)
    device["ios_per_path"] = spec.ios_per_path
    set_settings(state, row, spec.selector_settings)
    state.append("control")
    state.append("care")
    state.append("recovery")
    state.append("failback")
    queues.fit_limit(device)
    return Device(
        name=nexus.volume,
        host_id=spec.host_id,
        array_id=array_id,
        lun=nexus.lun,
        capacity_bytes=nexus.capacity_bytes,
        row=row,
        identifier=nexus.identifier,
        found_identifier=nexus.identifier,
        vendor=nexus.vendor,
        model=nexus.model,
        claimed=selector,
    )


def add_path(
    state: MultipathState, device: Device, array_row: int, adapters: Adapters, nexus: Nexus
) -> Path:
    """Appends a path's row; it begins in the state that the array reports."""
    row = state.append("path")
    state.append("path_histogram")
    state.append("measure")
    state.append("health")
    state.row["path_count"] = row + 1
    state["health"][row]["head"] = state["health"][row]["tail"] = NIL
    state["measure"][row]["relative_throughput"] = 1
    path = state["path"][row]
    path["array"], path["itl"], path["device"] = array_row, nexus.index, device.row
    path["adapter"] = adapters[device.host_id, nexus.initiator]
    path["state"] = PathState.ACTIVE if nexus.usable else PathState.DEAD
    path["target_down"] = not nexus.usable
    path["host_link"] = path["trunk_link"] = path["target_link"] = NIL
    name = f"{nexus.initiator}.{nexus.target}"
    return Path(
        name, device.array_id, nexus.initiator, nexus.target, nexus.index, row, nexus.fabric
    )


def update_paths(
    state: MultipathState,
    device: Device,
    array_row: int,
    adapters: Adapters,
    nexuses: Sequence[Nexus],
) -> tuple[int, int]:
    """Brings a device's paths in line with what the array reports; returns (added, removed)."""
    reported = {f"{n.initiator}.{n.target}": n for n in nexuses}
    gone = [
        p
        for p in device.paths.values()
        if p.name not in reported or p.itl != reported[p.name].index
    ]
    for path in gone:
        state["path"][path.row]["state"] = PathState.DEAD
        state["health"][path.row]["due_ns"] = state["health"][path.row]["out"] = 0
        del device.paths[path.name]
    added = [name for name in reported if name not in device.paths]
    for name in added:
        device.paths[name] = add_path(state, device, array_row, adapters, reported[name])
    _take_states(state, device, reported, anew=bool(gone or added))
    if nexuses:
        device.capacity_bytes = nexuses[0].capacity_bytes
        device.lun = nexuses[0].lun
        device.identifier = nexuses[0].identifier
    if gone or added:
        set_order(state, device)
        if any(nexus.access for nexus in nexuses):
            state.kernel.regroup(device.row)
    return len(added), len(gone)


def _take_states(
    state: MultipathState, device: Device, reported: Mapping[str, Nexus], anew: bool
) -> None:
    """Brings paths into the states that the array reports; a device's new set of them silently."""
    rows = state["path"]
    for name, path in device.paths.items():
        nexus, row = reported[name], rows[path.row]
        found = PathState.DISABLED if row["disabled"] else PathState.ACTIVE
        usable = (nexus.usable and not row["links_down"]) or row["blocked"]
        found = found if usable else PathState.DEAD
        row["gone"], row["target_down"] = 0, not nexus.usable
        if found is not PathState.DEAD and not row["blocked"]:
            state["health"][path.row]["down"] = 0
        row["access"], row["group"], row["preferred"] = nexus.access, nexus.group, nexus.preferred
        if anew:
            row["state"] = found
        elif nexus.access:
            row["want"] = found
        else:
            set_path_state(state, path.row, found)
    if anew:
        group_paths(state, [path.row for path in device.paths.values()])
    elif any(nexus.access for nexus in reported.values()):
        state.kernel.regroup(device.row)


def set_order(state: MultipathState, device: Device) -> None:
    """Writes the device's path lists anew: sorted, and all unused so far."""
    paths = sorted(device.paths.values(), key=lambda p: (p.initiator, p.port))
    device.paths = {p.name: p for p in paths}
    row = state["device"][device.row]
    if len(paths) > row["path_count"]:
        base = state.append("order", len(paths))
        row = state["device"][device.row]
        row["order_base"] = base
    row["path_count"] = len(paths)
    for at, path in enumerate(paths):
        order = state["order"][int(row["order_base"]) + at]
        order["sorted"] = path.row
    map_cpus(state, [path.row for path in paths])
    state.kernel.hand_over(device.row)
    if device.preferred_path not in device.paths:
        device.preferred_path = ""
    set_preferred(state, device)
    state.fit_paths(len(paths))


def set_preferred(state: MultipathState, device: Device) -> None:
    """Writes which path the device prefers; the first one unless it names another."""
    names = list(device.paths)
    preferred = names.index(device.preferred_path) if device.preferred_path else 0
    state["device"][device.row]["preferred"] = preferred
