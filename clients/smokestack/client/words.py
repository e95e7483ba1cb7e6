"""The values that fields of choice may have: the API's, without their prefixes."""

from __future__ import annotations

from typing import Final, Literal

ControllerState = Literal["ONLINE", "FAILED", "REBOOTING"]
MediaDistribution = Literal["CONSTANT", "EXPONENTIAL"]
MediaKind = Literal["CUSTOM", "FLASH", "DISK_10K", "DISK_7K2"]
PoolProfile = Literal["PLAIN", "INSERV_3PAR", "COMPELLENT", "VMAX", "HDP", "SVC", "NETAPP"]
PortKind = Literal[
    "CUSTOM",
    "QLOGIC_2G_FC",
    "LSI_2G_FC",
    "EMULEX_4G_FC",
    "INSERV_4G_FC",
    "INSERV_8G_FC",
    "QLOGIC_1G_ISCSI",
    "QLOGIC_10G_ISCSI",
    "CNA_FCOE",
    "CLARIION_FC",
    "HITACHI_9200",
    "HITACHI_9500V",
    "HITACHI_USP",
    "HITACHI_USP_V",
    "COMPELLENT_FC",
]
OutOfSpace = Literal["FAIL_WRITES", "TAKE_OFFLINE", "ANSWER_BUSY", "STALE_SNAPSHOTS", "CONSERVE"]
Provisioning = Literal["THIN", "THICK", "FULL"]
ReservationAction = Literal[
    "REGISTER",
    "RESERVE",
    "RELEASE",
    "CLEAR",
    "PREEMPT",
    "PREEMPT_AND_ABORT",
    "REGISTER_AND_IGNORE_EXISTING_KEY",
]
ReservationType = Literal[
    "WRITE_EXCLUSIVE",
    "EXCLUSIVE_ACCESS",
    "WRITE_EXCLUSIVE_REGISTRANTS_ONLY",
    "EXCLUSIVE_ACCESS_REGISTRANTS_ONLY",
    "WRITE_EXCLUSIVE_ALL_REGISTRANTS",
    "EXCLUSIVE_ACCESS_ALL_REGISTRANTS",
]
ZeroDetect = Literal["OFF", "SKIP", "RECLAIM"]
RaidLevel = Literal["RAID0", "RAID1", "RAID5", "RAID6", "RAID10"]
PoolState = Literal["NORMAL", "WARNING", "CONSERVATION", "EXHAUSTED"]
VolumeState = Literal["ONLINE", "OFFLINE"]
VolumeSnapshotState = Literal["READY", "STALE"]
Selector = Literal[
    "FIXED",
    "ROUND_ROBIN",
    "QUEUE_LENGTH",
    "FIRST_AVAILABLE",
    "MOST_RECENTLY_USED",
    "ROUND_ROBIN_BYTES",
    "LATENCY",
    "DM_ROUND_ROBIN",
    "SERVICE_TIME",
    "HISTORICAL_SERVICE_TIME",
    "IO_AFFINITY",
    "LEAST_BLOCKS",
    "VENDOR",
]
FabricLinkKind = Literal["HOST", "TRUNK", "TARGET"]
DeviceState = Literal["ON", "APD", "APD_TIMEOUT", "PDL"]
Escalation = Literal["ABORT_TASK", "LOGICAL_UNIT_RESET", "TARGET_RESET", "PATH_DOWN"]
ApdHandling = Literal["FAIL", "UNTIL_TIMEOUT", "HOLD"]
QueueDepthRule = Literal["FIXED", "COUNTER", "WINDOW", "LEGACY_NO_THROTTLE"]
PathState = Literal["ACTIVE", "DEAD", "DISABLED", "STANDBY", "BLOCKED"]
NoPathRetry = Literal["LAYER", "FAIL", "COUNT", "QUEUE"]
Failback = Literal["MANUAL", "IMMEDIATE", "FOLLOWOVER", "DELAYED"]
PathChecker = Literal["NONE", "TUR"]
CheckerState = Literal["UNCHECKED", "UP", "GHOST", "DOWN", "TIMEOUT", "PENDING", "DELAYED"]
Access = Literal["SYMMETRIC", "ALUA", "STANDBY", "UNAVAILABLE", "ACTIVE_PASSIVE"]
AccessState = Literal[
    "OPTIMIZED", "NON_OPTIMIZED", "STANDBY", "UNAVAILABLE", "TRANSITIONING", "PASSIVE"
]
Pattern = Literal["RANDOM", "SEQUENTIAL", "ZIPF"]
Plugin = Literal["NATIVE", "VENDOR"]
Arrival = Literal["CONSTANT", "POISSON"]
ThinkTime = Literal["CONSTANT", "EXPONENTIAL"]
TraceMode = Literal["OPEN", "CLOSED"]
ClockMode = Literal["MANUAL", "FLAT_OUT", "PACED"]
FaultState = Literal["PENDING", "ACTIVE", "EXHAUSTED", "ENDED"]
JobState = Literal["RUNNING", "STOPPED", "FINISHED"]

KiB: Final = 1 << 10
MiB: Final = 1 << 20
GiB: Final = 1 << 30
TiB: Final = 1 << 40
