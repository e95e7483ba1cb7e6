"""What multipath refuses before anything changes, field by field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from smokestack.engine.checks import identifier, in_range, one_of
from smokestack.engine.errors import FailedPrecondition, InvalidArgument

from .claims import check_native, check_rules
from .inventory import Device
from .specs import (
    ApdHandling,
    DepthRule,
    DeviceSettings,
    Escalation,
    Failback,
    MultipathHostSpec,
    MultipathSpec,
    NoPathRetry,
    PathChecker,
    PathFailureHandling,
    QueueControl,
    Selector,
    SelectorSettings,
    WorldShares,
)

_DELAY_NS_MAX: Final = 60 * 10**9
_SETTINGS: Final = {
    "bytes_per_path": (1, 1 << 40),
    "repeat_count": (1, 1 << 30),
    "latency_sample_ios": (1, 1024),
    "latency_evaluation_ns": (10**6, 86_400 * 10**9),
    "hst_base_weight": (0, 1023),
    "hst_threshold_multiplier": (0, 1000),
    "cpu_count": (1, 64),
    "numa_node_count": (1, 64),
}


def check_multipath(spec: MultipathSpec) -> None:
    """Refuses settings of the whole layer that are out of range."""
    identifier("multipath.name", spec.name)
    in_range("multipath.qfull_retry_delay_ns", spec.qfull_retry_delay_ns, 0, _DELAY_NS_MAX)
    in_range(
        "multipath.congestion_evaluation_ns", spec.congestion_evaluation_ns, 10**6, 3600 * 10**9
    )
    in_range("multipath.not_ready_retry_delay_ns", spec.not_ready_retry_delay_ns, 0, _DELAY_NS_MAX)
    in_range("multipath.command_timeout_ns", spec.command_timeout_ns, 0, 86_400 * 10**9)
    in_range(
        "multipath.task_management_timeout_ns",
        spec.task_management_timeout_ns,
        1_000,
        86_400 * 10**9,
    )
    one_of("multipath.escalation", spec.escalation, Escalation)
    in_range("multipath.apd_timeout_ns", spec.apd_timeout_ns, 1_000, 86_400 * 10**9)
    in_range("multipath.probing", spec.probing, 0, 1)
    one_of("multipath.apd_handling", spec.apd_handling, ApdHandling)


_RANGES: Final = {
    "lun_queue_depth": (1, 4096),
    "sched_num_req_outstanding": (1, 4096),
    "ios_per_path": (1, 1 << 30),
}


def check_host(spec: MultipathHostSpec) -> None:
    """Refuses a host without initiators, or with settings that no device takes."""
    identifier("host.host_id", spec.host_id)
    if not spec.initiators:
        raise InvalidArgument.at("host.initiators", "is empty: give at least one")
    for index, initiator in enumerate(spec.initiators):
        identifier(f"host.initiators[{index}]", initiator)
    check_native("host.selector", spec.selector)
    check_rules("host.claim_rules", spec.claim_rules)
    _check_settings("host.selector_settings", spec.selector_settings)
    _check_control("host.queue_control", spec.queue_control)
    _check_handling("host.path_failure_handling", spec.path_failure_handling)
    for name, (least, most) in _RANGES.items():
        in_range(f"host.{name}", getattr(spec, name), least, most)
    in_range("host.adapter_queue_depth", spec.adapter_queue_depth, 1, 65536)


def check_update(device: Device, settings: DeviceSettings) -> None:
    """Refuses settings that a device cannot take; None leaves a setting as it is."""
    given = {name: value for name, value in settings.items() if value is not None}
    for name, (least, most) in _RANGES.items():
        if name in given:
            in_range(f"device.{name}", cast(int, given[name]), least, most)
    if "selector" in given:
        _check_policy(device, cast(Selector, given["selector"]))
    if "selector_settings" in given:
        wanted = cast(SelectorSettings, given["selector_settings"])
        _check_settings("device.selector_settings", wanted)
    if "queue_control" in given:
        _check_control("device.queue_control", cast(QueueControl, given["queue_control"]))
    if "path_failure_handling" in given:
        _check_handling(
            "device.path_failure_handling",
            cast(PathFailureHandling, given["path_failure_handling"]),
        )
    _check_worlds(settings.get("world_shares") or ())
    preferred = settings.get("preferred_path")
    if preferred and preferred not in device.paths:
        raise InvalidArgument.at(
            "device.preferred_path",
            f"{preferred!r} is no path of {device.name}: use one of {', '.join(device.paths)}",
        )


def check_path(cpu_count: int, relative_throughput: int | None, cpus: Sequence[int] | None) -> None:
    """Refuses what no policy can be told of a path; None leaves a setting as it is."""
    if relative_throughput is not None:
        in_range("path.relative_throughput", relative_throughput, 0, 100)
    for index, cpu in enumerate(cpus or ()):
        in_range(f"path.cpus[{index}]", cpu, 0, cpu_count - 1)


def _check_settings(field: str, settings: SelectorSettings) -> None:
    for name, (least, most) in _SETTINGS.items():
        in_range(f"{field}.{name}", getattr(settings, name), least, most)
    if settings.numa_node_count > settings.cpu_count:
        raise InvalidArgument.at(
            f"{field}.numa_node_count",
            f"{settings.numa_node_count} is more than cpu_count, {settings.cpu_count}: "
            "a node has at least one CPU",
        )


def _check_policy(device: Device, selector: Selector) -> None:
    if device.claimed is not Selector.VENDOR:
        check_native("device.selector", selector)
    elif selector is not Selector.VENDOR:
        raise FailedPrecondition(
            f"device {device.name} of host {device.host_id} is claimed by {device.vendor}'s "
            "plug-in, which brings its own policy: change its host's claim rules instead",
            reason="CLAIMED",
        )


def _check_worlds(given: Sequence[WorldShares]) -> None:
    for index, each in enumerate(given):
        field = f"device.world_shares[{index}]"
        in_range(f"{field}.vm_number", each.vm_number, 0, 1 << 31)
        in_range(f"{field}.shares", each.shares, 1, 1_000_000)
        in_range(f"{field}.reservation_iops", each.reservation_iops, 0, 1_000_000)
        in_range(f"{field}.limit_iops", each.limit_iops, 0, 1_000_000)
        if 0 < each.limit_iops < each.reservation_iops:
            raise InvalidArgument.at(
                f"{field}.limit_iops",
                f"{each.limit_iops} is less than reservation_iops, {each.reservation_iops}",
            )
        if each.vm_number in {other.vm_number for other in given[:index]}:
            raise InvalidArgument.at(f"{field}.vm_number", f"{each.vm_number} stands there twice")


_CONTROL: Final = {
    "qfull_sample_size": (0, 64),
    "qfull_threshold": (1, 16),
    "congestion_smoothing": (0, 1023),
    "congestion_gain": (1, 1024),
    "window_min": (1, 4096),
    "window_max": (1, 4096),
    "shares": (1, 1_000_000),
}
_CONGESTION_NS: Final = (1_000, 100_000_000)  # SIOC: from 10 ms; less suits faster arrays


def _check_control(field: str, settings: QueueControl) -> None:
    one_of(f"{field}.rule", settings.rule, DepthRule)
    for name, (least, most) in _CONTROL.items():
        in_range(f"{field}.{name}", getattr(settings, name), least, most)
    if 0 < settings.qfull_sample_size < settings.qfull_threshold:
        raise InvalidArgument.at(
            f"{field}.qfull_threshold",
            f"{settings.qfull_threshold} is more than qfull_sample_size, "
            f"{settings.qfull_sample_size}: no sample holds so many",
        )
    if settings.congestion_threshold_ns:
        name = f"{field}.congestion_threshold_ns"
        in_range(name, settings.congestion_threshold_ns, *_CONGESTION_NS)
    if settings.window_max < settings.window_min:
        raise InvalidArgument.at(
            f"{field}.window_max",
            f"{settings.window_max} is less than window_min, {settings.window_min}",
        )


_HANDLING: Final = {
    "polling_interval_ns": (1_000, 3600 * 10**9),
    "max_polling_interval_ns": (0, 4 * 3600 * 10**9),
    "checker_timeout_ns": (1_000, 3600 * 10**9),
    "fast_io_fail_ns": (0, 3600 * 10**9),
    "dev_loss_ns": (0, 1 << 60),
    "no_path_retry_count": (0, 1_000_000),
    "path_error_threshold": (0, 65_535),
    "path_error_forget_checks": (0, 65_535),
    "path_error_recovery_ns": (0, 86_400 * 10**9),
    "failback_delay_ns": (0, 86_400 * 10**9),
}


def _check_handling(field: str, settings: PathFailureHandling) -> None:
    one_of(f"{field}.checker", settings.checker, PathChecker)
    for name, (least, most) in _HANDLING.items():
        in_range(f"{field}.{name}", getattr(settings, name), least, most)
    if 0 < settings.max_polling_interval_ns < settings.polling_interval_ns:
        raise InvalidArgument.at(
            f"{field}.max_polling_interval_ns",
            f"{settings.max_polling_interval_ns} is less than polling_interval_ns, "
            f"{settings.polling_interval_ns}",
        )
    one_of(f"{field}.no_path_retry", settings.no_path_retry, NoPathRetry)
    one_of(f"{field}.failback", settings.failback, Failback)
    counts = settings.no_path_retry is NoPathRetry.COUNT
    if counts != (settings.no_path_retry_count > 0):
        raise InvalidArgument.at(
            f"{field}.no_path_retry_count",
            "is 0: say how many polling intervals, or use FAIL"
            if counts
            else "is set, but no_path_retry is not COUNT: leave one out",
        )
    if (settings.failback is Failback.DELAYED) != (settings.failback_delay_ns > 0):
        raise InvalidArgument.at(
            f"{field}.failback_delay_ns",
            "goes with failback DELAYED: set both, or neither",
        )
    if 0 < settings.dev_loss_ns <= settings.fast_io_fail_ns:
        raise InvalidArgument.at(
            f"{field}.dev_loss_ns",
            f"{settings.dev_loss_ns} is not more than fast_io_fail_ns, "
            f"{settings.fast_io_fail_ns}: commands fail before their path is removed",
        )
    marginal = (
        settings.path_error_threshold,
        settings.path_error_forget_checks,
        settings.path_error_recovery_ns,
    )
    if any(marginal) and not all(marginal):
        raise InvalidArgument.at(
            f"{field}.path_error_threshold",
            "goes with path_error_forget_checks and path_error_recovery_ns: set all three, or none",
        )
    if any(marginal) and settings.checker is PathChecker.NONE:
        raise InvalidArgument.at(
            f"{field}.path_error_threshold", "is set, but nothing checks paths: use checker TUR"
        )
