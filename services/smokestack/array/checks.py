"""What an array refuses before anything changes: each spec, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smokestack.engine.checks import identifier, in_length, in_range, multiple_of, one_of
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import BLOCK_BYTES

from .specs import (
    GIB,
    RAID_SETS,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    MediaDistribution,
    PoolSpec,
    PortSpec,
    ProductSpec,
    VolumeSpec,
    ZeroDetect,
)

LATENCY_NS_MIN = 1_000  # windows are cut by it: below a microsecond they would hold nothing
LATENCY_NS_MAX = 10_000_000_000
SERVICE_NS_MAX = 60_000_000_000
VOLUME_BYTES_MAX = 1 << 50
POOL_BYTES_MAX = 1 << 55
CACHE_BYTES_MAX = 1 << 44
READ_BLOCKS_MAX = 1 << 22
REBOOT_NS_MAX = 3_600_000_000_000


def check_product(spec: ProductSpec) -> None:
    """Refuses what does not fit the fields of an INQUIRY answer."""
    for name, most in (("vendor", 8), ("model", 16)):
        text = getattr(spec, name)
        in_length(f"array.{name}", text, 1, most)
        if not (text.isascii() and text.isprintable()):
            raise InvalidArgument.at(f"array.{name}", f"{text!r} is not printable ASCII")


def check_controller(spec: ControllerSpec) -> None:
    """Refuses a controller that could serve nothing or not be drawn for."""
    identifier("controller.controller_id", spec.controller_id)
    in_range("controller.core_count", spec.core_count, 1, 64)
    in_range("controller.read_ns", spec.read_ns, 0, SERVICE_NS_MAX)
    in_range("controller.write_ns", spec.write_ns, 0, SERVICE_NS_MAX)
    in_range("controller.read_hit_ratio", spec.read_hit_ratio, 0, 1)
    in_range("controller.mirror_ns", spec.mirror_ns, 0, SERVICE_NS_MAX)
    in_range("controller.cache_bytes", spec.cache_bytes, 0, CACHE_BYTES_MAX)
    _check_marks(spec)
    block = spec.read_cache_block_bytes
    in_range("controller.read_cache_block_bytes", block, 4096, 1 << 20)
    multiple_of("controller.read_cache_block_bytes", block, BLOCK_BYTES)
    in_range("controller.read_cache_bytes", spec.read_cache_bytes, 0, block * READ_BLOCKS_MAX)
    if spec.read_cache_bytes:
        multiple_of("controller.read_cache_bytes", spec.read_cache_bytes, block)
    in_range("controller.reboot_ns", spec.reboot_ns, 0, REBOOT_NS_MAX)


def _check_marks(spec: ControllerSpec) -> None:
    """Refuses marks of a write cache that has no size, or that are in the wrong order."""
    low, high = spec.cache_low_water_ratio, spec.cache_high_water_ratio
    in_range("controller.cache_high_water_ratio", high, 0, 1)
    in_range("controller.cache_low_water_ratio", low, 0, 1)
    if high and not spec.cache_bytes:
        raise InvalidArgument.at(
            "controller.cache_high_water_ratio",
            "is a share of cache_bytes, which is 0: give the write cache a size",
        )
    if (low or high) and low >= high:
        raise InvalidArgument.at(
            "controller.cache_low_water_ratio",
            f"{low:g} is not below cache_high_water_ratio, {high:g}: what is flushed from the high "
            "mark on stops at the low one",
        )


def check_port(spec: PortSpec) -> None:
    """Refuses a port whose times would break the lookahead or the arithmetic."""
    identifier("port.port_id", spec.port_id)
    identifier("port.fabric", spec.fabric)
    in_range("port.queue_limit", spec.queue_limit, 1, 1 << 20)
    in_range("port.initiator_limit", spec.initiator_limit, 0, 1 << 20)
    in_range("port.command_ns", spec.command_ns, 0, SERVICE_NS_MAX)
    in_range("port.hang_refusals", spec.hang_refusals, 0, 1 << 20)
    in_range("port.refusal_ns", spec.refusal_ns, 0, SERVICE_NS_MAX)
    in_range("port.bandwidth_bytes_per_second", spec.bandwidth_bytes_per_second, 1_000, 1 << 50)
    in_range("port.forward_latency_ns", spec.forward_latency_ns, LATENCY_NS_MIN, LATENCY_NS_MAX)
    in_range("port.return_latency_ns", spec.return_latency_ns, LATENCY_NS_MIN, LATENCY_NS_MAX)


def check_pair(what: str, one: str, other: str, have: Mapping[str, Any]) -> None:
    """Refuses a partner that does not exist, or that has another."""
    field = f"{what}.partner"
    if other == one:
        raise InvalidArgument.at(field, f"{other!r} cannot be its own partner")
    if other not in have:
        known = ", ".join(sorted(have)) or "none yet"
        raise InvalidArgument.at(
            field,
            f"{other!r} is no {what} of the array: the second of a pair names the first "
            f"(there is {known})",
        )
    if have[other].partner:
        raise InvalidArgument.at(
            field, f"{other!r} is paired with {have[other].partner!r} already: name another"
        )


def check_port_pair(spec: PortSpec, ports: Mapping[str, PortSpec]) -> None:
    """Refuses a partner that could not take the port over, or be taken over by it."""
    check_pair("port", spec.port_id, spec.partner, ports)
    partner = ports[spec.partner]
    if partner.controller_id == spec.controller_id:
        raise InvalidArgument.at(
            "port.partner",
            f"{spec.partner!r} belongs to {spec.controller_id!r}, too, and would fail with it: "
            "use a port of another controller",
        )
    if partner.fabric != spec.fabric:
        raise InvalidArgument.at(
            "port.partner",
            f"{spec.partner!r} is on fabric {partner.fabric!r}: hosts of {spec.fabric!r} do not "
            "reach it",
        )


def check_pool(spec: PoolSpec) -> None:
    """Refuses a pool without whole pages or without disks."""
    identifier("pool.pool_id", spec.pool_id)
    in_range("pool.page_bytes", spec.page_bytes, 4096, GIB)
    multiple_of("pool.page_bytes", spec.page_bytes, BLOCK_BYTES)
    in_range("pool.capacity_bytes", spec.capacity_bytes, spec.page_bytes, POOL_BYTES_MAX)
    multiple_of("pool.capacity_bytes", spec.capacity_bytes, spec.page_bytes)
    in_range("pool.raid_set_size", spec.raid_set_size, RAID_SETS[spec.raid_level][1], 32)
    in_range("pool.disk_count", spec.disk_count, 1, 65536)
    in_range("pool.media_ns", spec.media_ns, 0, SERVICE_NS_MAX)
    for name in ("media_write_ns", "media_sequential_ns"):
        in_range(f"pool.{name}", getattr(spec, name) or 0, 0, SERVICE_NS_MAX)
    for name in ("growth_bytes", "step_bytes", "step_bytes_max"):
        in_range(f"pool.{name}", getattr(spec, name), 0, POOL_BYTES_MAX)
        if getattr(spec, name):
            multiple_of(f"pool.{name}", getattr(spec, name), spec.page_bytes)
    for name in ("limit_bytes", "limit_overdraft_bytes", "conservation_bytes", "emergency_bytes"):
        in_range(f"pool.{name}", getattr(spec, name), 0, POOL_BYTES_MAX)
    if spec.step_bytes_max < spec.step_bytes:
        raise InvalidArgument.at(
            "pool.step_bytes_max", f"{spec.step_bytes_max} is less than {spec.step_bytes}, a step"
        )
    in_range("pool.step_window_ns", spec.step_window_ns, 0, 10**15)
    in_range("pool.warning_ratio", spec.warning_ratio, 0, 1)
    in_range("pool.conservation_ns", spec.conservation_ns, 0, SERVICE_NS_MAX)
    one_of("pool.media_distribution", spec.media_distribution, MediaDistribution)


def check_volume(spec: VolumeSpec) -> None:
    """Refuses a volume of no whole blocks, or larger than the page map can name."""
    identifier("volume.volume_id", spec.volume_id)
    in_range("volume.capacity_bytes", spec.capacity_bytes, BLOCK_BYTES, VOLUME_BYTES_MAX)
    multiple_of("volume.capacity_bytes", spec.capacity_bytes, BLOCK_BYTES)
    check_service_level(spec.service_level_ns)
    check_queue_limit(spec.queue_limit)
    if spec.reserves and spec.zero_detect is not ZeroDetect.OFF:
        raise InvalidArgument.at(
            "volume.zero_detect", "a THICK volume keeps all its pages: leave it out, or use OFF"
        )
    if spec.reserves and (spec.source_volume or spec.source_snapshot):
        raise InvalidArgument.at(
            "volume.provisioning", "a copy shares its source's pages: it is THIN, leave this out"
        )


def check_service_level(service_level_ns: int) -> None:
    """Refuses a promise that no array could be held to."""
    in_range("volume.service_level_ns", service_level_ns, 0, SERVICE_NS_MAX)


def check_queue_limit(queue_limit: int) -> None:
    """Refuses a limit of a volume's commands that none could be."""
    in_range("volume.queue_limit", queue_limit, 0, 1 << 20)


def check_snapshot(snapshot_id: str) -> None:
    """Refuses a snapshot that has no good name."""
    identifier("volume_snapshot.volume_snapshot_id", snapshot_id)


def check_host(spec: ArrayHostSpec) -> None:
    """Refuses a host without initiators, or with one named twice."""
    identifier("host.host_id", spec.host_id)
    if not spec.initiators:
        raise InvalidArgument.at("host.initiators", "is empty: give at least one")
    for name in ("queue_limit", "port_queue_limit"):
        in_range(f"host.{name}", getattr(spec, name), 0, 1 << 20)
    seen: set[str] = set()
    for index, initiator in enumerate(spec.initiators):
        identifier(f"host.initiators[{index}].name", initiator.name)
        identifier(f"host.initiators[{index}].fabric", initiator.fabric)
        if initiator.name in seen:
            raise InvalidArgument.at(
                f"host.initiators[{index}].name", f"{initiator.name!r} stands here twice"
            )
        seen.add(initiator.name)


def check_export(spec: ExportSpec, place: str = "export") -> None:
    """Refuses a LUN that no host could address."""
    in_range(f"{place}.lun", spec.lun, 0, 16383)


def check_reached(
    spec: ExportSpec,
    hosts: Mapping[str, ArrayHostSpec],
    ports: Mapping[str, PortSpec],
    field: str,
) -> None:
    """Refuses a set of ports none of which the export's host can reach."""
    fabrics = {initiator.fabric for initiator in hosts[spec.host_id].initiators}
    if not any(ports[port_id].fabric in fabrics for port_id in spec.ports):
        raise InvalidArgument.at(
            field,
            f"has no port that {spec.host_id!r} reaches, which sees {spec.volume_id!r} through "
            f"{spec.port_set!r}: one has to be on {' or '.join(sorted(fabrics))}",
        )
