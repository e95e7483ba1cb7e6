"""Causes that move parameters, each on a small stack of its own, beside a twin without it.

One host with two initiators and two paths to a volume, closed loops of 4 KiB, no randomness but
where they read.  ``CAUSES`` says what a cause does to each parameter: the difference to the twin,
exactly or between bounds, in the parameter's unit; of histograms the difference of counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from smokestack.array.collector import ArrayCollector
from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    Access,
    AccessSpec,
    ArrayHostSpec,
    ControllerSpec,
    ExportSpec,
    InitiatorSpec,
    PoolSpec,
    PortSpec,
    VolumeSpec,
)
from smokestack.engine.border import BorderLock
from smokestack.engine.fault_rules import FaultRule
from smokestack.hypervisor.collector import HypervisorCollector
from smokestack.hypervisor.model import HypervisorModel
from smokestack.hypervisor.specs import DiskSpec, HostSpec, VmSpec
from smokestack.multipath.collector import MultipathCollector
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.resets import reset_device
from smokestack.multipath.specs import (
    DepthRule,
    MultipathHostSpec,
    MultipathSpec,
    PathChecker,
    PathFailureHandling,
    QueueControl,
    Selector,
)
from smokestack.multipath.updates import update_fabric
from smokestack.workload import JobSpec, Pattern, compile_job

MIB = 1 << 20
MS = 1_000_000
IOS = 64  # of a job that ends
BLOCK = 4096
LAYER = MultipathSpec(probing=1)
EVALUATED = MultipathSpec(congestion_evaluation_ns=2 * MS)
IMPATIENT = MultipathSpec(probing=1, command_timeout_ns=2 * MS, task_management_timeout_ns=MS)
PORT = PortSpec("p0", "c0", "fabric-a")
HOST = MultipathHostSpec("h1", ("h1-a", "h1-b"), ios_per_path=1)


@dataclass(frozen=True)
class Setup:
    """What differs from stack to stack."""

    read_ratio: float = 1.0
    iodepth: int = 4
    io_limit: int = 0
    pool_bytes: int = 256 * MIB
    layer: MultipathSpec = LAYER
    port: PortSpec = PORT
    host: MultipathHostSpec = HOST
    pattern: Pattern = Pattern.RANDOM
    vms: int = 1
    access: Access = Access.SYMMETRIC
    luns: int = 1  # VMs take turns
    hosts: int = 1
    guest_queue_depth: int = 0


class Small:
    """One host, one array, two fabrics."""

    def __init__(self, setup: Setup) -> None:
        border = BorderLock()
        self.array = _array(setup)
        self.multipath = MultipathModel(setup.layer)
        self.multipath.connect_array("a1", self.array)
        self.hypervisor = HypervisorModel(seed=7, border=border)
        self.hypervisor.connect(self.multipath)
        for number in range(setup.hosts):
            host = f"h{number + 1}"
            initiators = (f"{host}-a", f"{host}-b")
            self.multipath.create_host(replace(setup.host, host_id=host, initiators=initiators))
            self.multipath.rescan(host)
            self.hypervisor.create_host(HostSpec(host))
            for vm in range(setup.vms):
                self._add_vm(host, f"vm{vm}", setup, f"a1.v{vm % setup.luns + 1}")
        self._collectors = (
            HypervisorCollector(self.hypervisor, border),
            MultipathCollector(self.multipath, border),
            ArrayCollector(self.array, border),
        )

    def _add_vm(self, host: str, vm: str, setup: Setup, device: str) -> None:
        self.hypervisor.create_vm(VmSpec(host, vm))
        depth = setup.guest_queue_depth
        disk = DiskSpec(host, vm, "d0", device, guest_queue_depth=depth)
        self.hypervisor.create_disk(disk)
        job = JobSpec(
            host_id=host,
            vm_id=vm,
            disk_id="d0",
            job_id="j0",
            iodepth=setup.iodepth,
            read_ratio=setup.read_ratio,
            io_limit=setup.io_limit,
            block_sizes=((BLOCK, 1),),
            pattern=setup.pattern,
            error_backoff_ns=2 * MS,
        )
        self.hypervisor.create_job(compile_job(job, f"hosts/{host}/vms/{vm}/jobs/j0"))

    def run(self, until_ns: int) -> None:
        self.hypervisor.advance(until_ns)

    def inject(self, kind: str, target: str, **fields: Any) -> None:
        self.multipath.faults.inject(FaultRule(kind, f"multipaths/m1/{target}", **fields))

    def told(self) -> dict[str, float]:
        """Sums of series by name, and by name and state or other label of interest."""
        text = b"".join(
            piece
            for collector in self._collectors
            for samples in collector.collect()
            for piece in (samples.family.header, *samples.pieces)
        ).decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(_grouped(text)):
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    continue
                names = [sample.name]
                for label in ("state", "status", "kcq", "sense_key", "op"):
                    if label in sample.labels:
                        names.append(f"{sample.name}[{sample.labels[label]}]")
                for name in names:
                    value = 0.0 if sample.value != sample.value else sample.value
                    found[name] = found.get(name, 0.0) + value
        return found


def _grouped(text: str) -> str:
    """Each family once: services tell of the same one in turn."""
    return "\n".join(dict.fromkeys(text.splitlines())) + "\n"


def _array(setup: Setup) -> ArrayModel:
    array = ArrayModel("a1")
    for index, fabric in enumerate(("fabric-a", "fabric-b")):
        array.create_controller(ControllerSpec(f"c{index}"))
        array.create_port(
            replace(setup.port, port_id=f"p{index}", controller_id=f"c{index}", fabric=fabric)
        )
    if setup.access is not Access.SYMMETRIC:
        array.ownership.configure(AccessSpec(setup.access))
    array.create_pool(PoolSpec("p1", setup.pool_bytes))
    for lun in range(setup.luns):
        array.create_volume(VolumeSpec(f"v{lun + 1}", "p1", 256 * MIB))
    for host in ("h1", "h2"):
        ends = tuple(InitiatorSpec(f"{host}-{e}", f"fabric-{e}") for e in "ab")
        array.create_host(ArrayHostSpec(host, ends))
    for lun in range(setup.luns):
        for number in range(setup.hosts):
            array.create_export(ExportSpec(f"v{lun + 1}", f"h{number + 1}", lun))
    return array


Bounds = float | tuple[float, float]  # a difference, exactly or between


def _nothing(small: Small) -> None:
    pass


@dataclass(frozen=True)
class Cause:
    """What is done to one of two equal stacks at 5 ms, or how it is set up otherwise."""

    says: str
    moves: dict[str, Bounds]  # series' sums, without their prefix
    setup: Setup = Setup()
    other: Setup | None = None
    first: Callable[[Small], None] = _nothing  # to both
    does: Callable[[Small], None] = _nothing
    until_ns: int = 20 * MS

    def differences(self) -> tuple[dict[str, float], bool]:
        """Runs both stacks; returns what they tell differently, and whether guests noticed."""
        plain, moved = (
            self._ran(self.setup, _nothing),
            self._ran(self.other or self.setup, self.does),
        )
        before, after = plain.told(), moved.told()
        differences = {name: after.get(name, 0) - before.get(name, 0) for name in before | after}
        return differences, plain.hypervisor.digest() != moved.hypervisor.digest()

    def _ran(self, setup: Setup, does: Callable[[Small], None]) -> Small:
        small = Small(setup)
        self.first(small)
        small.run(5 * MS)
        does(small)
        small.run(self.until_ns)
        return small


SOME = (1, inf)  # up by one at least
UP = (1e-9, inf)
DOWN = (-inf, -1e-9)
NOTHING = Setup(vms=0)
FIRST = replace(HOST, selector=Selector.FIRST_AVAILABLE)
READS = Setup(io_limit=IOS, pattern=Pattern.SEQUENTIAL, host=FIRST)
BYTES = IOS * BLOCK
LINK = "fabrics/fabric-a/links/h1-a"
CHECKED = PathFailureHandling(PathChecker.TUR, polling_interval_ns=MS)


def _slow(port: PortSpec) -> PortSpec:
    return replace(port, bandwidth_bytes_per_second=100_000_000)


def _link_down(small: Small) -> None:
    small.inject("LINK_DOWN", LINK, duration_ns=5 * MS)


def _busy_link_down(small: Small) -> None:
    small.run(4 * MS)
    _link_down(small)


def _login_rejected(small: Small) -> None:
    small.inject("LINK_DOWN", LINK, duration_ns=5 * MS)
    small.inject("LOGIN_REJECTED", LINK)


def _all_down(small: Small) -> None:
    small.inject("LINK_DOWN", "fabrics/*/links/*")


def _slow_drain(small: Small) -> None:
    small.inject("SLOW_DRAIN", LINK, factor_per_mille=100_000)


CAUSES = (
    Cause(
        "reads, one after another, by the first available path",
        {
            "path_ios_total": IOS,
            "path_bytes_total": BYTES,
            "path_dispatched_total": IOS,
            "path_latency_seconds_count": IOS,
            "read_commands_total": IOS,
            "read_bytes_total": BYTES,
            "port_tx_bytes_total": BYTES,
            "port_tx_frames_total": 2 * BYTES // 2048,  # by two links
            "port_rrdy_total": 2 * BYTES // 2048,
            "scsi_status_total[good]": IOS,
            "array_latency_seconds_count": IOS,
            "target_port_commands_total": IOS,
            "exchange_retries_total": 0,
            "device_read_commands_total": IOS,
            "device_read_bytes_total": BYTES,
            "device_latency_seconds_count": IOS,
            "kernel_latency_seconds_count": IOS,
            "queue_latency_seconds_count": IOS,
            "guest_latency_seconds_count": IOS,
            "adapter_ios_total": IOS,
            "adapter_bytes_total": BYTES,
            "exchange_completion_seconds_count[read]": IOS,
            "first_data_seconds_count": IOS,
            "wire_seconds_count": IOS,
            "exchanges_started_total": IOS,
            "exchanges_completed_total": IOS,
            "io_size_bytes_sum[read]": BYTES,
            "inter_io_gap_seconds_count": IOS - 1,
            "sequential_ios_total": IOS - 1,
            "exchange_completion_max_seconds": (1e-4, 1.0),
            "exchanges_pending_max": 4,
            "path_imbalance_ratio": 2,
        },
        NOTHING,
        READS,
        until_ns=60 * MS,
    ),
    Cause(
        "writes",
        {
            "write_commands_total": IOS,
            "write_bytes_total": BYTES,
            "port_rx_bytes_total": BYTES,
            "device_write_commands_total": IOS,
            "device_write_bytes_total": BYTES,
            "write_ack_seconds_count": IOS,
        },
        NOTHING,
        replace(READS, read_ratio=0.0),
        until_ns=60 * MS,
    ),
    Cause(
        "a load of 64 through a device's depth of 32",
        {
            "device_active_commands": 28,
            "device_queued_commands": 32,
            "device_active_worlds": 0,
            "path_active_commands": 28,
            "path_active_bytes": 28 * BLOCK,
            "adapter_active_commands": 28,
            "exchanges_pending": (1, 28),
            "target_port_pending_exchanges": (1, 28),
            "kernel_latency_seconds_sum": UP,
            "queue_latency_seconds_sum": UP,
            "path_queue_seconds_total": UP,
            "guest_outstanding_ios": 60,
        },
        Setup(),
        Setup(iodepth=64),
    ),
    Cause(
        "a load of 16 through a guest's queue of 4",
        {
            "guest_queued_ios": 12,
            "guest_queue_wait_seconds_count": UP,
            "guest_queue_wait_seconds_sum": UP,
            "guest_outstanding_ios": 0,
            "device_active_commands": -12,
        },
        Setup(iodepth=16),
        Setup(iodepth=16, guest_queue_depth=4),
    ),
    Cause(
        "two worlds that compete, and a load where there was none",
        {"device_active_worlds": 2, "device_queue_limit": -24, "active_itls": (1, 2)},
        replace(NOTHING, host=replace(HOST, sched_num_req_outstanding=8)),
        Setup(vms=2, iodepth=16, host=replace(HOST, sched_num_req_outstanding=8)),
    ),
    Cause(
        "an adapter's queue of 8, twice, before a load of 24",
        {"adapter_queue_depth": 2 * (8 - 4096), "adapter_queued_commands": 8},
        Setup(iodepth=24),
        Setup(iodepth=24, host=replace(HOST, adapter_queue_depth=8)),
    ),
    Cause(
        "a device's depth of 8, DSNRO of 4",
        {
            "device_queue_depth": -24,
            "device_queue_depth_configured": -24,
            "device_sched_num_req_outstanding": -28,
            "device_active_commands": -16,
        },
        Setup(iodepth=24),
        Setup(
            iodepth=24,
            host=replace(HOST, lun_queue_depth=8, sched_num_req_outstanding=4),
        ),
    ),
    Cause(
        "LINK_DOWN for 5 ms",
        {
            "port_state_changes_total": 2,
            "port_loss_of_signal_total": 1,
            "port_loss_of_sync_total": 1,
            "port_link_failures_total": 1,
            "port_not_operational_total": 1,
            "port_offline_sequences_total": 1,
            "port_link_resets_tx_total": 1,
            "port_logins_total": 1,
            "port_logouts_total": 1,
            "rscn_total": 2,
            "path_failovers_total": 1,
            "device_retries_total": (1, 4),
        },
        does=_link_down,
    ),
    Cause(
        "LINK_DOWN that flaps, three times",
        {"port_state_changes_total": 6, "port_logins_total": 3, "path_failovers_total": 3},
        does=lambda s: s.inject("LINK_DOWN", LINK, down_ns=2 * MS, up_ns=2 * MS, count=3),
    ),
    Cause(
        "LINK_DOWN that stays",
        {"path_state[dead]": 1, "path_state[active]": -1, "fabric_logged_in_ports": -1},
        does=lambda s: s.inject("LINK_DOWN", LINK),
    ),
    Cause(
        "LOGIN_REJECTED, and LINK_DOWN for 5 ms",
        {"els_rejects_total": 1, "path_state[dead]": 1, "path_state[active]": -1},
        does=_login_rejected,
    ),
    Cause(
        "LINK_DOWN of all",
        {
            "device_state[apd]": 1,
            "apd_events_total": 1,
            "device_no_connect_total": SOME,
            "guest_errors_total": SOME,
            "device_errors_total": SOME,
        },
        does=_all_down,
    ),
    Cause(
        "FRAME_DAMAGED, every frame for 1 ms",
        {"port_crc_errors_total": (1, 40), "exchange_retries_total": (1, 40)},
        does=lambda s: s.inject("FRAME_DAMAGED", LINK, duration_ns=MS),
    ),
    Cause(
        "SLOW_DRAIN, 100 times as slow",
        {
            "port_bb_credit_zero_total": SOME,
            "port_bb_credit_zero_seconds_total": (1e-4, 1.0),
            "port_busy_seconds_total": (1e-4, 1.0),
            "port_bb_credit_remaining": (-16, -1),
            "exchange_completion_max_seconds": (1e-4, 1.0),
        },
        Setup(iodepth=32),
        does=_slow_drain,
    ),
    Cause(
        "a hold time of 1 ms, and SLOW_DRAIN",
        {"port_class3_discards_total": SOME},
        Setup(iodepth=16, layer=replace(LAYER, command_timeout_ns=20 * MS)),
        first=_slow_drain,
        until_ns=60 * MS,
        does=lambda s: update_fabric(s.multipath, "fabric-a", hold_time_ns=MS),
    ),
    Cause(
        "UpdateFabricLink: 2 credits",
        {"port_bb_credit_configured": -14},
        Setup(iodepth=32, hosts=2),
        first=_slow_drain,
        until_ns=60 * MS,
        does=lambda s: s.multipath.update_link("fabric-a", "h1-a", bb_credits=2),
    ),
    Cause(
        "ports that take 2 commands, a device that sends 32",
        {
            "target_port_queue_limit": 2 * (2 - 1638),
            "path_refusals_total": SOME,
            "device_refusals_total": SOME,
            "device_retries_total": SOME,
            "scsi_task_set_full_total": SOME,
            "scsi_status_total[task_set_full]": SOME,
            "path_kernel_seconds_total": UP,
        },
        Setup(iodepth=32),
        Setup(iodepth=32, port=replace(PORT, queue_limit=2)),
    ),
    Cause(
        "the same, with the counter rule",
        {
            "device_queue_throttles_total": SOME,
            "device_queue_recoveries_total": SOME,
            "device_queue_depth": (-31, -1),
        },
        Setup(iodepth=32),
        Setup(
            iodepth=32,
            port=replace(PORT, queue_limit=2),
            host=replace(
                HOST,
                queue_control=QueueControl(DepthRule.COUNTER, qfull_sample_size=8),
            ),
        ),
        until_ns=40 * MS,
    ),
    Cause(
        "the same, under LEGACY_NO_THROTTLE",
        {"device_hung_commands_total": (1, 32)},
        Setup(iodepth=32),
        Setup(
            iodepth=32,
            port=replace(PORT, queue_limit=2),
            host=replace(HOST, queue_control=QueueControl(DepthRule.LEGACY_NO_THROTTLE)),
        ),
    ),
    Cause(
        "ports that take 1 command, two volumes",
        {"scsi_busy_total": SOME, "device_busy_total": SOME, "scsi_status_total[busy]": SOME},
        Setup(vms=2, luns=2, iodepth=8),
        Setup(vms=2, luns=2, iodepth=8, port=replace(PORT, queue_limit=1)),
    ),
    Cause(
        "an array that serves a volume by one of its controllers",
        {
            "path_alua_state[optimized]": 1,
            "path_alua_state[non_optimized]": 1,
            "path_state[standby]": 1,
        },
        Setup(),
        Setup(access=Access.ALUA),
    ),
    Cause(
        "a port that is disabled",
        {
            "target_port_dropped_total": SOME,
            "port_oper_state[down]": 1,
            "port_oper_state[up]": -1,
            "path_failovers_total": 1,
        },
        does=lambda s: s.array.set_port_enabled("p1", False),
    ),
    Cause(
        "an export that is deleted",
        {
            "device_state[pdl]": 1,
            "pdl_events_total": 1,
            "initiators_per_target_port": -2,
            "scsi_check_conditions_total[5]": (2, 8),
            "scsi_sense_total[5/25/00]": (2, 8),
        },
        does=lambda s: s.array.delete_export("v1", "h1"),
    ),
    Cause(
        "a pool without space",
        {"path_errors_total": SOME, "device_errors_total": SOME, "scsi_sense_total[7/27/07]": SOME},
        Setup(read_ratio=0.0),
        Setup(read_ratio=0.0, pool_bytes=MIB),
    ),
    Cause(
        "ports an eighth as fast",
        {
            "port_speed_bytes_per_second": 2 * (100_000_000 - 800_000_000),
            "path_ios_total": DOWN,
        },
        Setup(iodepth=32),
        Setup(iodepth=32, port=_slow(PORT)),
    ),
    Cause(
        "a time-out of 0.2 ms",
        {
            "commands_aborted_total": SOME,
            "exchange_timeouts_total": SOME,
            "exchange_aborts_total": SOME,
            "abort_task_total": SOME,
        },
        Setup(iodepth=32, port=_slow(PORT)),
        Setup(
            iodepth=32,
            port=_slow(PORT),
            layer=replace(LAYER, command_timeout_ns=MS // 5),
        ),
    ),
    Cause(
        "a reset of a device by hand",
        {"bus_resets_total": 1, "lun_resets_total": 1},
        does=lambda s: reset_device(s.multipath, "h1", "a1.v1"),
    ),
    Cause(
        "a reset of one host's device by hand, where TAS is set",
        {"scsi_task_aborted_total": SOME, "scsi_status_total[task_aborted]": SOME},
        Setup(hosts=2, iodepth=32, port=_slow(PORT)),
        first=lambda s: s.array.set_volume_task_aborted_status("v1", True),
        does=lambda s: reset_device(s.multipath, "h1", "a1.v1"),
    ),
    Cause(
        "a port that hangs",
        {"target_resets_total": 1, "bus_resets_total": 2, "commands_aborted_total": SOME},
        Setup(layer=IMPATIENT),
        does=lambda s: s.array.faults.inject(FaultRule("PORT_HANG", "arrays/a1/ports/p0")),
    ),
    Cause(
        "a congestion threshold below what slow ports take",
        {
            "device_smoothed_latency_seconds": (1e-4, 1.0),
            "device_latency_window_commands": (1, 32),
            "datastore_congestion_ratio": UP,
        },
        Setup(iodepth=32, port=_slow(PORT), layer=EVALUATED),
        Setup(
            iodepth=32,
            port=_slow(PORT),
            layer=EVALUATED,
            host=replace(HOST, queue_control=QueueControl(congestion_threshold_ns=MS // 10)),
        ),
    ),
    Cause(
        "a path checker in place of events, while a link goes down",
        {"path_checks_total": SOME},
        Setup(iodepth=64),
        Setup(iodepth=64, host=replace(HOST, path_failure_handling=CHECKED)),
        first=_busy_link_down,
    ),
    Cause(
        "historical service time in place of the first available path",
        {"path_estimated_latency_seconds": (1e-5, 1.0)},
        Setup(host=FIRST),
        Setup(host=replace(HOST, selector=Selector.HISTORICAL_SERVICE_TIME)),
    ),
)
