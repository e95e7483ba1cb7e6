"""What a host's multipath layer is built from: plain data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag
from typing import Any, Final, TypedDict

from smokestack.engine.labels import Labels


class Selector(IntEnum):
    """Path selection policies; one file each under ``selectors/``."""

    FIXED = 1
    ROUND_ROBIN = 2
    QUEUE_LENGTH = 3
    FIRST_AVAILABLE = 4
    MOST_RECENTLY_USED = 5
    ROUND_ROBIN_BYTES = 6
    LATENCY = 7
    DM_ROUND_ROBIN = 8
    SERVICE_TIME = 9
    HISTORICAL_SERVICE_TIME = 10
    IO_AFFINITY = 11
    LEAST_BLOCKS = 12
    VENDOR = 13  # of a vendor's plug-in, by a claim rule alone


# Those that can be asked for.
NATIVE: Final = tuple(policy for policy in Selector if policy is not Selector.VENDOR)


class PathState(IntEnum):
    """Path states as ESX names them (FACTS 2.1)."""

    ACTIVE = 1
    DEAD = 2
    DISABLED = 3
    STANDBY = 4  # lives, but a better target port group is in use
    BLOCKED = 5  # its transport is down, its commands wait: said of a path, never in its row


class DisabledBy(IntFlag):
    """Who has taken a path out of use; it is back in use when nobody has."""

    HAND = 1
    FAULT = 2
    LIE = 4  # it is said to be dead, and works


@dataclass(frozen=True)
class SelectorSettings:
    """Settings of policies, each used by the one that it is named after (FACTS 2.1, 3.1)."""

    bytes_per_path: int = 10_485_760  # round robin by bytes, 1..2^40
    repeat_count: int = 1  # dm-multipath's round robin, 1..2^30
    latency_sample_ios: int = 16  # latency: samples of each path, 1..1024
    latency_evaluation_ns: int = 180 * 10**9  # latency: 1 ms to 1 day
    hst_base_weight: int = 972  # historical service time: of 1024, 0..1023
    hst_threshold_multiplier: int = 0  # historical service time, 0..1000; 0 and 1: no effect
    cpu_count: int = 8  # I/O affinity: of the host, 1..64 [P]
    numa_node_count: int = 2  # I/O affinity: 1..cpu_count [P]


class DeviceState(IntEnum):
    """Device states as ESX has them (FACTS 2.6)."""

    ON = 1
    APD = 2  # all paths down
    APD_TIMEOUT = 3
    PDL = 4  # permanent device loss


class ApdHandling(IntEnum):
    """What happens to the commands of a device in APD."""

    FAIL = 1  # at once, with NO_CONNECT
    UNTIL_TIMEOUT = 2  # they wait, and fail when it times out, as all but a VM's do on ESX
    HOLD = 3  # they wait for a path, as a VM's do on ESX


class Escalation(IntEnum):
    """The last step that is taken when aborts are not answered: ``aborts.h``."""

    ABORT_TASK = 1  # it is sent again
    LOGICAL_UNIT_RESET = 2
    TARGET_RESET = 3
    PATH_DOWN = 4  # the path is given up


class Plugin(IntEnum):
    """Whose software handles a device."""

    NATIVE = 1
    VENDOR = 2


@dataclass(frozen=True)
class ClaimRule:
    """Whose software handles what an array reports as; * stands for any text."""

    vendor: str = "*"
    model: str = "*"
    array: str = "*"
    plugin: Plugin = Plugin.NATIVE
    selector: Selector | None = None  # of the native software; None: the host's
    plugin_vendor: str = ""  # whose plug-in, as its own arrays report it


class DepthRule(IntEnum):
    """What an array's refusals do to a device's queue depth: FACTS 2.4, ``throttle.h``."""

    FIXED = 1
    COUNTER = 2
    WINDOW = 3
    LEGACY_NO_THROTTLE = 4


@dataclass(frozen=True)
class QueueControl:
    """What moves a device's depth; the defaults move nothing."""

    rule: DepthRule = DepthRule.COUNTER  # the present text of KB 1008113
    qfull_sample_size: int = 0  # 0..64, documented; 0: no rule
    qfull_threshold: int = 4  # 1..16 and no more than the sample; 4 is field lore
    congestion_threshold_ns: int = 0  # 1 us..100 ms (SIOC: from 10 ms), 0: off
    congestion_smoothing: int = 205  # PARDA's a, of 1,024: ours
    congestion_gain: int = 256  # PARDA's g, of 1,024: ours
    window_min: int = 4  # ours
    window_max: int = 4096  # never more than the configured depth
    shares: int = 1000  # SIOC's Normal: FACTS 2.5


class PathChecker(IntEnum):
    """How a host finds out what has become of its paths (FACTS 3.2)."""

    NONE = 1  # events tell it at once
    TUR = 2  # commands fail, and a TEST UNIT READY now and then


class NoPathRetry(IntEnum):
    """What happens to the commands of a device without a path (dm-multipath: FACTS 3.2)."""

    LAYER = 1  # what the layer's APD handling says
    FAIL = 2
    COUNT = 3  # they wait for so many polling intervals, and fail
    QUEUE = 4  # they wait for a path (queue_if_no_path)


class Failback(IntEnum):
    """When a host has a volume moved back to its preferred controller (dm-multipath: FACTS 3.2)."""

    MANUAL = 1  # never by itself
    IMMEDIATE = 2
    FOLLOWOVER = 3  # when the first path there comes back, not when another host moved it away
    DELAYED = 4


class CheckerState(IntEnum):
    """What the last check of a path has found; multipathd's words."""

    UNCHECKED = 1
    UP = 2
    GHOST = 3  # standby: alive, and not to be used now
    DOWN = 4
    TIMEOUT = 5
    PENDING = 6  # in transition: the path is left as it was
    DELAYED = 7  # up, and set aside, for it has failed too often


@dataclass(frozen=True)
class PathFailureHandling:
    """What a host does about a device's paths that fail; by default it just knows (FACTS 3.2)."""

    checker: PathChecker = PathChecker.NONE
    polling_interval_ns: int = 5 * 10**9  # multipathd; ESX evaluates paths every 300 s
    max_polling_interval_ns: int = 0  # while a path stays good; 0: four times the other
    checker_timeout_ns: int = 30 * 10**9  # as of any command that Linux sends itself
    fast_io_fail_ns: int = 0  # how long a path is blocked; 0: not; dm-multipath has 5 s
    dev_loss_ns: int = 0  # after how long it is removed; 0: never; dm-multipath has 600 s
    no_path_retry: NoPathRetry = NoPathRetry.LAYER
    no_path_retry_count: int = 0  # of COUNT
    # san_path_err_threshold, _forget_rate and _recovery_time: all, or none.
    path_error_threshold: int = 0  # failures that are not too many; 0: no path is marginal
    path_error_forget_checks: int = 0  # good checks that make up for one
    path_error_recovery_ns: int = 0  # how long a marginal path is set aside
    failback: Failback = Failback.MANUAL
    failback_delay_ns: int = 0  # of DELAYED


@dataclass(frozen=True)
class MultipathHostSpec:
    """A host's side of the fabrics, and the defaults of the devices that a rescan finds."""

    host_id: str
    initiators: tuple[str, ...]
    selector: Selector = Selector.ROUND_ROBIN
    lun_queue_depth: int = 32  # DQLEN; QLogic on ESX 3.x/4.x, 1..4096
    ios_per_path: int = 1000  # round robin's switch, FACTS 2.1
    selector_settings: SelectorSettings = SelectorSettings()
    sched_num_req_outstanding: int = 32  # DSNRO: FACTS 2.2, 1..4096
    adapter_queue_depth: int = 4096  # AQLEN of each initiator, 1..65536
    claim_rules: tuple[ClaimRule, ...] = ()  # the first that takes a device decides
    queue_control: QueueControl = QueueControl()
    path_failure_handling: PathFailureHandling = PathFailureHandling()
    allow_thrashing: bool = False  # Fixed on active/passive arrays: ``thrashing.py``


@dataclass(frozen=True)
class WorldShares:
    """What mClock gives a VM of a device: FACTS 2.5."""

    vm_number: int
    shares: int = 1000  # Normal; 1..1,000,000
    reservation_iops: int = 0  # 0..1,000,000; 0: none
    limit_iops: int = 0  # no less than the reservation; 0: none


class DeviceSettings(TypedDict, total=False):
    """What of a device can be changed; None leaves a setting as it is."""

    lun_queue_depth: int | None
    sched_num_req_outstanding: int | None
    selector: Selector | None
    ios_per_path: int | None
    preferred_path: str | None
    labels: Labels | None
    selector_settings: SelectorSettings | None
    queue_control: QueueControl | None
    path_failure_handling: PathFailureHandling | None
    world_shares: tuple[WorldShares, ...] | None


@dataclass(frozen=True)
class MultipathSpec:
    """Settings of the whole multipath service: its name, and integers."""

    name: str = "m1"
    qfull_retry_delay_ns: int = 1_000_000  # how long a refused command waits to rejoin its queue
    congestion_evaluation_ns: int = 4 * 10**9  # SIOC's period: FACTS 2.5
    # The same after 2/04/0A, 0B or 0C; our choice, for transitions take seconds (FACTS 4.7).
    not_ready_retry_delay_ns: int = 100_000_000
    # Off by default: what an array is slow to answer then takes as long as it takes.
    command_timeout_ns: int = 0
    # How long an abort or a reset may take: Linux's SCSI_DEFAULT_EH_TIMEOUT.
    task_management_timeout_ns: int = 10 * 10**9
    # Linux takes a device that no reset helps offline, which is its path's end to multipath.
    escalation: Escalation = Escalation.PATH_DOWN
    apd_timeout_ns: int = 140 * 10**9  # Misc.APDTimeout, FACTS 2.6
    # ESX holds a VM's commands; failing them at once is the default because what hangs for minutes
    # of virtual time surprises those who do not ask for it.
    apd_handling: ApdHandling = ApdHandling.FAIL
    probing: int = 0  # whether the probe watches every nexus: it costs speed, and changes nothing

    def settings(self) -> dict[str, Any]:
        """Returns the integers by name, which are also the names of the API's fields."""
        return {name: int(getattr(self, name)) for name in SETTINGS}


SETTINGS: Final = tuple(field.name for field in fields(MultipathSpec) if field.name != "name")
