"""The Python SDK: smokestack's services as objects that read like the domain.

>>> stack = smokestack.client.connect("127.0.0.1:50051")
>>> stack.array("a1").volumes.create("v9", pool="p1", capacity_bytes=40 * GiB)
>>> stack.advance(seconds=1)

Everything here blocks; `smokestack.client.aio` connects so that everything is awaited instead.
"""

from smokestack.v1.hypervisor_pb2 import BlockSize
from smokestack.v1.types_pb2 import Initiator

from . import aio, errors
from .array import Array, ArrayHost, Export, Pool, Volume, VolumeSnapshot
from .blocking import connect, connect_array, connect_hypervisor, connect_multipath
from .events import Event, Watch
from .hardware import Controller, DriveGroup, Port
from .hypervisor import Disk, Host, Hypervisor, Job, Trace, Vm
from .multipath import (
    Adapter,
    Device,
    Fabric,
    FabricLink,
    Multipath,
    MultipathHost,
    Path,
)
from .operations import Async, Sync
from .sessions import Patience
from .sets import HostSet, PortSet, SetExport
from .snapshots import Snapshot
from .stack import Stack
from .words import GiB, KiB, MiB, TiB

__all__ = [
    "Adapter",
    "Array",
    "ArrayHost",
    "Async",
    "BlockSize",
    "Controller",
    "Device",
    "Disk",
    "DriveGroup",
    "Event",
    "Export",
    "Fabric",
    "FabricLink",
    "GiB",
    "Host",
    "HostSet",
    "Hypervisor",
    "Initiator",
    "Job",
    "KiB",
    "MiB",
    "Multipath",
    "MultipathHost",
    "Path",
    "Patience",
    "Pool",
    "Port",
    "PortSet",
    "SetExport",
    "Snapshot",
    "Stack",
    "Sync",
    "TiB",
    "Trace",
    "Vm",
    "Volume",
    "VolumeSnapshot",
    "Watch",
    "aio",
    "connect",
    "connect_array",
    "connect_hypervisor",
    "connect_multipath",
    "errors",
]
