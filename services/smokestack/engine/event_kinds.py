"""What can happen: every kind of event that a service tells, with a sentence each.

A kind's name is part of the API and stays; scripts wait for it.
"""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """The catalogue of events; ``sentence`` says what one of them means."""

    sentence: str

    def __new__(cls, name: str, sentence: str) -> EventKind:
        """Makes a member that is equal to its name."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.sentence = sentence
        return kind

    # Any service
    DRIVER_ATTACHED = "DRIVER_ATTACHED", "A driver took the service: its clock moves it from here."
    DRIVER_DETACHED = (
        "DRIVER_DETACHED",
        "The driver gave the service back; what was under way died.",
    )
    RECOVERED = (
        "RECOVERED",
        "The service came back from its state directory, as after a power-on: from this time on.",
    )
    CLOCK_CAUGHT_UP = (
        "CLOCK_CAUGHT_UP",
        "A driver that stood behind its device went on to its time; its hosts stood still.",
    )
    PEER_RETURNED = (
        "PEER_RETURNED",
        "A service below that was lost was found again: what it had in hand is gone.",
    )
    PEER_LOST = "PEER_LOST", "A service below was found gone at a border; it is heard no more."
    FAULT_STARTED = "FAULT_STARTED", "A fault rule began to act."
    FAULT_ENDED = (
        "FAULT_ENDED",
        "A fault rule acts no more: its duration is over, it has hit as often as it may, "
        "or it was cleared.",
    )
    HOST_CREATED = "HOST_CREATED", "A host was added."
    HOST_DELETED = "HOST_DELETED", "A host was removed."
    HOST_UPDATED = "HOST_UPDATED", "A host's settings were changed, and those of what follows it."

    # Array
    ARRAY_POWER_LOST = "ARRAY_POWER_LOST", "An array lost its power, and all that was in it."
    ARRAY_POWERED_ON = "ARRAY_POWERED_ON", "An array has power again: each nexus says so once."
    CONTROLLER_CREATED = "CONTROLLER_CREATED", "A controller was added."
    CONTROLLER_DELETED = "CONTROLLER_DELETED", "A controller was removed."
    CONTROLLER_FAILED = (
        "CONTROLLER_FAILED",
        "A controller went down with what it had in flight; its ports follow or are taken over.",
    )
    CONTROLLER_REBOOTING = "CONTROLLER_REBOOTING", "A controller began to come back."
    CONTROLLER_ONLINE = "CONTROLLER_ONLINE", "A controller that was down serves again."
    CACHE_WRITE_THROUGH = (
        "CACHE_WRITE_THROUGH",
        "A controller lost the mirror of its write cache: writes wait for the media.",
    )
    CACHE_WRITE_BACK = "CACHE_WRITE_BACK", "A controller's write cache is mirrored again."
    PROFILE_SET = "PROFILE_SET", "An array was given the habits of another family."
    ACCESS_SET = "ACCESS_SET", "It was changed how an array serves volumes through its controllers."
    VOLUME_MOVED = (
        "VOLUME_MOVED",
        "A volume began to change its owner, by hand, from a lost controller or back.",
    )
    VOLUME_TRESPASSED = (
        "VOLUME_TRESPASSED",
        "A command through the passive controller began to pull its volume over.",
    )
    RESERVATIONS_CHANGED = (
        "RESERVATIONS_CHANGED",
        "Who is registered with a volume, or has reserved it, changed.",
    )
    PORT_CREATED = "PORT_CREATED", "A front-end port was added."
    PORT_DELETED = "PORT_DELETED", "A front-end port was removed."
    HOST_LIMITED = "HOST_LIMITED", "It was changed how many commands a host may have in an array."
    PORT_LIMITED = "PORT_LIMITED", "A port's queue limit was changed."
    PORT_DOWN = "PORT_DOWN", "A port's link went down: what it had in flight is lost."
    PORT_UP = "PORT_UP", "A port's link came up."
    PORT_HUNG = (
        "PORT_HUNG",
        "A port that had refused many commands in a row began to take them and answer none.",
    )
    PORT_TAKEN_OVER = "PORT_TAKEN_OVER", "A port's partner took its identity over: paths stay."
    PORT_RETURNED = "PORT_RETURNED", "A port carries its own identity again."
    LOGICAL_UNIT_RESET = (
        "LOGICAL_UNIT_RESET",
        "A host reset a volume: its commands are gone, other nexuses have 6/29/03 to tell.",
    )
    PORT_TARGET_RESET = (
        "PORT_TARGET_RESET",
        "A host reset all volumes behind a port: their commands are gone, other nexuses have "
        "6/29/03 to tell.",
    )
    POOL_CREATED = "POOL_CREATED", "A thin pool was added."
    POOL_DELETED = "POOL_DELETED", "A thin pool was removed."
    VOLUME_UNMAPPED = "VOLUME_UNMAPPED", "Pages that its hosts have free were taken from a volume."
    DRIVE_GROUP_CREATED = "DRIVE_GROUP_CREATED", "A group of drives was added."
    DRIVE_GROUP_RESIZED = "DRIVE_GROUP_RESIZED", "A group was given more drives, or fewer."
    DRIVE_GROUP_DELETED = "DRIVE_GROUP_DELETED", "A group of drives was removed."
    DRIVES_SET = "DRIVES_SET", "An array was given other drives, or more or fewer of them."
    POOL_RESIZED = "POOL_RESIZED", "A pool's capacity was changed."
    POOL_EXHAUSTED = (
        "POOL_EXHAUSTED",
        "A write was refused for want of space, the first since the pool last gained any.",
    )
    POOL_SPACE_AVAILABLE = "POOL_SPACE_AVAILABLE", "A pool that was exhausted gained space."
    POOL_GREW = "POOL_GREW", "A pool drew another increment of space from the array's disks."
    POOL_WARNING = (
        "POOL_WARNING",
        "A pool came to its warning threshold; hosts are told once, until it falls below again.",
    )
    POOL_CONSERVING = "POOL_CONSERVING", "A pool is short of space and slows down new pages."
    POOL_EASED = "POOL_EASED", "A pool that was short of space is not any more."
    VOLUME_OFFLINE = "VOLUME_OFFLINE", "A volume went offline, for its pool had no space."
    VOLUME_ONLINE = "VOLUME_ONLINE", "A volume that was offline for want of space came back."
    VOLUME_SNAPSHOT_STALE = (
        "VOLUME_SNAPSHOT_STALE",
        "A snapshot lost its pages to writes of its volume, for the pool had no others.",
    )
    VOLUME_CREATED = "VOLUME_CREATED", "A thin volume was added."
    VOLUME_DELETED = "VOLUME_DELETED", "A volume was removed and its pages went back to the pool."
    VOLUME_RESIZED = "VOLUME_RESIZED", "A volume grew."
    VOLUME_SNAPSHOT_CREATED = (
        "VOLUME_SNAPSHOT_CREATED",
        "A volume was kept as it was then; its pages are shared until it writes to them.",
    )
    VOLUME_SNAPSHOT_DELETED = (
        "VOLUME_SNAPSHOT_DELETED",
        "A snapshot of a volume was removed, and the pages that only it had are free.",
    )
    EXPORT_CREATED = "EXPORT_CREATED", "A volume was shown to a host."
    EXPORT_DELETED = "EXPORT_DELETED", "A volume was hidden from a host."
    HOST_SET_CREATED = "HOST_SET_CREATED", "A set of hosts was made."
    HOST_SET_UPDATED = "HOST_SET_UPDATED", "A set has other hosts, which see what it sees."
    HOST_SET_DELETED = "HOST_SET_DELETED", "A set of hosts was removed."
    PORT_SET_CREATED = "PORT_SET_CREATED", "A set of ports was made."
    PORT_SET_UPDATED = "PORT_SET_UPDATED", "A set has other ports, which show what it shows."
    PORT_SET_DELETED = "PORT_SET_DELETED", "A set of ports was removed."

    # Multipath
    ARRAY_CONNECTED = "ARRAY_CONNECTED", "An array was connected below."
    RESCANNED = "RESCANNED", "A host asked its arrays what they show it."
    DEVICE_ADDED = "DEVICE_ADDED", "A rescan found a device."
    DEVICE_REMOVED = "DEVICE_REMOVED", "A rescan found a device gone."
    DEVICE_PATHS_CHANGED = "DEVICE_PATHS_CHANGED", "A rescan found paths of a known device changed."
    DEVICE_THROTTLED = (
        "DEVICE_THROTTLED",
        "An array's refusals halved a device's queue depth; told once a second at most.",
    )
    DEVICE_RECOVERED = (
        "DEVICE_RECOVERED",
        "A device that was throttled has its configured queue depth again.",
    )
    DEVICE_COMMANDS_HUNG = (
        "DEVICE_COMMANDS_HUNG",
        "A device without a throttle took refusals for acceptance, and waits for answers that "
        "never come; told once a second at most.",
    )
    MULTIPATH_UPDATED = "MULTIPATH_UPDATED", "Settings of a multipath layer were changed."
    ADAPTER_UPDATED = "ADAPTER_UPDATED", "An adapter's queue depth was changed."
    DEVICE_UPDATED = "DEVICE_UPDATED", "A device's queue depth or path selection was changed."
    PATH_DOWN = "PATH_DOWN", "A path died: what was in flight on it is sent again on another."
    PATH_UP = "PATH_UP", "A path that was dead came back."
    PATH_BLOCKED = "PATH_BLOCKED", "A path's transport is down: its commands wait, for a while."
    PATH_UNBLOCKED = "PATH_UNBLOCKED", "The transport of a blocked path is back in time."
    PATH_REMOVED = (
        "PATH_REMOVED",
        "A path was without transport so long that its host let go of it.",
    )
    PATH_MARGINAL = (
        "PATH_MARGINAL",
        "A path that is good again has failed too often: it is set aside.",
    )
    PATH_ADDED = (
        "PATH_ADDED",
        "A path that had been removed was found anew, for its port logged in.",
    )
    DEVICE_ACCESS_CHANGED = (
        "DEVICE_ACCESS_CHANGED",
        "A host learnt that an array serves a device's paths otherwise (asymmetric access).",
    )
    PATH_DISABLED = "PATH_DISABLED", "A path was taken out of use, by hand or by a fault."
    PATH_ENABLED = "PATH_ENABLED", "A path was put back into use."
    PROBING = "PROBING", "The probe began to watch every nexus."
    PROBING_ENDED = "PROBING_ENDED", "The probe watches no more; what it has seen stays."
    FABRIC_UPDATED = "FABRIC_UPDATED", "A fabric's trunk was changed."
    LINK_DOWN = "LINK_DOWN", "A link of a fabric went down: its paths die one lookahead later."
    LINK_UP = "LINK_UP", "A link of a fabric came up."
    LOGIN_REJECTED = (
        "LOGIN_REJECTED",
        "A link came up, and the logins across it were refused: its paths stay dead.",
    )
    LOGIN_ACCEPTED = "LOGIN_ACCEPTED", "Logins across a link are refused no more: its paths return."
    LINK_UPDATED = "LINK_UPDATED", "A link's rate or its buffers were changed."
    DEVICE_ALL_PATHS_DOWN = "DEVICE_ALL_PATHS_DOWN", "A device's last usable path was lost."
    COMMANDS_TIMED_OUT = (
        "COMMANDS_TIMED_OUT",
        "A device's commands were not answered in time: they are aborted, and then sent again as "
        "new attempts.",
    )
    DEVICE_RESET = (
        "DEVICE_RESET",
        "A host sent a device's logical unit a reset: by hand, or because aborts were not "
        "answered.",
    )
    TARGET_RESET = (
        "TARGET_RESET",
        "A host sent the array's port behind a device's path a reset: by hand, or because the "
        "logical unit's was not answered.",
    )
    DEVICE_RESET_DONE = (
        "DEVICE_RESET_DONE",
        "A device's reset, or its target's, is complete: what the device had out is sent again.",
    )
    DEVICE_APD_TIMEOUT = (
        "DEVICE_APD_TIMEOUT",
        "A device has been without a usable path for the whole time-out of all paths down.",
    )
    DEVICE_PERMANENTLY_LOST = (
        "DEVICE_PERMANENTLY_LOST",
        "All paths of a device answered that there is no such unit: its I/O fails from here on.",
    )
    DEVICE_PATHS_RESTORED = "DEVICE_PATHS_RESTORED", "A device without usable paths has one again."
    UNIT_ATTENTION = (
        "UNIT_ATTENTION",
        "An array told a device's host something before it served it; the command was sent again.",
    )
    RESCAN_WANTED = (
        "RESCAN_WANTED",
        "An array told a host that a device, or what it shows, is not as it was: a rescan finds "
        "how it is.",
    )
    SOFT_THRESHOLD_HEARD = (
        "SOFT_THRESHOLD_HEARD",
        "An array told a device's host that the thin pool behind it has reached a soft threshold.",
    )

    # Hypervisor
    VM_CREATED = "VM_CREATED", "A VM was added."
    VM_DELETED = "VM_DELETED", "A VM was removed."
    DISK_CREATED = "DISK_CREATED", "A virtual disk was added to a VM."
    DISK_DELETED = "DISK_DELETED", "A virtual disk was removed from a VM."
    DISK_IO_ERRORS_BEGAN = (
        "DISK_IO_ERRORS_BEGAN",
        "An I/O of a disk failed, the first after a second of virtual time without failures.",
    )
    JOB_CREATED = "JOB_CREATED", "A job was added; it issues from start_ns on."
    JOB_STOPPED = "JOB_STOPPED", "A job was stopped: it issues nothing more."
    JOB_FINISHED = "JOB_FINISHED", "A job came to its end, and all its I/O has completed."
    JOB_DELETED = "JOB_DELETED", "A job was removed."
