"""A whole stack: one client over the clients of its services."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from smokestack.v1 import estate_pb2, hypervisor_pb2, multipath_pb2

from .array import Array
from .clock import Clock
from .connected import Connected
from .errors import NotFound
from .hypervisor import Hypervisor, get_statistics
from .kinds import full, name_of
from .multipath import Multipath
from .operations import Call, Session, Way, as_it_is, operation, procedure
from .snapshots import History
from .stack_events import StackEvents


class Stack(Clock[Way], History[Way], Connected[Way]):
    """The services of one stack; its clock is that of the hypervisor, or of an array alone."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        """Takes a session for each service, by full name."""
        self._by_name = dict(sessions)
        names = sorted(sessions)
        multipaths = [name for name in names if name.startswith("multipaths/")]
        for session in sessions.values():
            session.multipath = multipaths[0] if multipaths else session.multipath
        self._hypervisors = [name for name in names if name.startswith("hypervisors/")]
        self._multipaths = multipaths
        drivers = [*self._hypervisors, *multipaths, *names]
        super().__init__(sessions[drivers[0]])
        self.arrays: Mapping[str, Array[Way]] = {
            name.partition("/")[2]: Array(sessions[name], name)
            for name in names
            if name.startswith("arrays/")
        }

    @property
    def hypervisor(self) -> Hypervisor[Way]:
        """The hypervisor."""
        name = self._known("hypervisor", self._hypervisors)
        return Hypervisor(self._by_name[name], name)

    @property
    def multipath(self) -> Multipath[Way]:
        """The multipath layer."""
        name = self._known("multipath layer", self._multipaths)
        return Multipath(self._by_name[name], name)

    def array(self, array_id: str) -> Array[Way]:
        """Returns the array of an identifier."""
        self._known("array", [a for a in self.arrays if a == array_id], f" {array_id!r}")
        return self.arrays[array_id]

    @property
    def addresses(self) -> dict[str, str]:
        """Where each service is served, by full name."""
        return {name: session.address for name, session in self._by_name.items()}

    @property
    def sessions(self) -> Mapping[str, Session]:
        """What carries out the calls to each service, by full name."""
        return dict(self._by_name)

    @operation
    def statistics(self) -> Call[hypervisor_pb2.Statistics]:
        """Gets what all VMs together have done, and a row for each virtual disk."""
        return get_statistics()

    @procedure
    def topology(
        self, *, vm: Any = "", volume: Any = "", host: Any = ""
    ) -> Generator[Any, Any, estate_pb2.Topology]:
        """Gets what stands on what, from VM to pool, each part with its state.

        Of all, or of a VM, volume or host (itself, or its full name).  A service that does not
        answer takes only its part with it: ``parts`` says which, and why.
        """
        request = estate_pb2.GetTopologyRequest(
            vm=name_of(vm), volume=name_of(volume), host=name_of(host)
        )
        whole: estate_pb2.Topology = yield from _whole("GetTopology", request)
        return whole

    @procedure
    def audit(self) -> Generator[Any, Any, estate_pb2.AuditAdvertisedResponse]:
        """Compares what is advertised with what is observed, by arrays, by hosts, and by both.

        Each finding says what is not as it is said to be, and whose figures show it.
        """
        request = estate_pb2.AuditAdvertisedRequest()
        whole: estate_pb2.AuditAdvertisedResponse = yield from _whole("AuditAdvertised", request)
        return whole

    @procedure
    def dark_storage(self, *, array: Any = "") -> Generator[Any, Any, estate_pb2.DarkStorageReport]:
        """Gets where all space of the arrays is, or of one, each byte in one category.

        ``volumes`` are those that are not in use.
        """
        name = name_of(array)
        request = estate_pb2.GetDarkStorageReportRequest(array=full("arrays", name) if name else "")
        whole: estate_pb2.DarkStorageReport = yield from _whole(
            "GetDarkStorageReport", request, once=("arrays",)
        )
        return whole

    @operation
    def mark_latency(self, target: Any) -> Call[estate_pb2.LatencyReading]:
        """Begins an interval for ``attribute_latency``: of a VM's disk or a multipath device."""
        request = estate_pb2.MarkLatencyRequest(target=name_of(target))
        return Call("EstateService.MarkLatency", request, as_it_is)

    @operation
    def attribute_latency(
        self, since: estate_pb2.LatencyReading
    ) -> Call[estate_pb2.LatencyAttribution]:
        """Names the layer and the device that I/O has waited for since a reading, if any is guilty.

        ``evidence`` has the figures; host, fabric and array shares add up to what guests waited.
        """
        request = estate_pb2.AttributeLatencyRequest(since=since)
        return Call("EstateService.AttributeLatency", request, as_it_is)

    @operation
    def reclaim(
        self,
        plan: estate_pb2.ReclaimResponse | None = None,
        *,
        array: Any = "",
        volumes: Iterable[Any] = (),
        unmap_free: bool = False,
    ) -> Call[estate_pb2.ReclaimResponse]:
        """Plans to delete volumes that nobody is shown; with that plan, deletes them.

        With ``unmap_free`` also to unmap where no VM's disk lies, on volumes that are in use.
        Of all arrays or of one, all of them or those named.  Executing takes the same words.
        """
        name = name_of(array)
        names = [name_of(one) for one in volumes]
        request = estate_pb2.ReclaimRequest(
            array=full("arrays", name) if name else "",
            volumes=names,
            execute=plan is not None,
            plan_token=plan.plan_token if plan else "",
            unmap_free=unmap_free,
        )
        return Call("EstateService.Reclaim", request, as_it_is, repeatable=plan is None)

    @operation
    def path_statistics(
        self, path: Any, parameters: Sequence[str] = ()
    ) -> Call[multipath_pb2.PathStatistics]:
        """Gets what is measured of a path and what it belongs to, on the array's side too."""
        name = name_of(path)
        request = multipath_pb2.GetPathStatisticsRequest(name=name, parameters=parameters)
        return Call("EstateService.GetPathStatistics", request, as_it_is)

    @operation
    def set_io_shares(
        self,
        vm: Any,
        *,
        shares: int | None = None,
        reservation_iops: int | None = None,
        limit_iops: int | None = None,
        devices: Iterable[Any] = (),
    ) -> Call[estate_pb2.SetIoSharesResponse]:
        """Gives a VM its part of its devices' queues, by mClock; nothing given: nothing of its own.

        Of all devices that a disk of it lies on, or of those given.
        """
        given = {
            name: value
            for name, value in (
                ("shares", shares),
                ("reservation_iops", reservation_iops),
                ("limit_iops", limit_iops),
            )
            if value is not None
        }
        request = estate_pb2.SetIoSharesRequest(
            vm=name_of(vm),
            io_shares=multipath_pb2.IoShares(**given) if given else None,
            devices=[name_of(one) for one in devices],
        )
        return Call("EstateService.SetIoShares", request, as_it_is)

    @property
    def events(self) -> StackEvents[Way]:
        """What has happened in all services, and why."""
        return StackEvents(self._session, self._by_name)

    def _known(self, what: str, names: Sequence[str], which: str = "") -> str:
        if not names:
            known = ", ".join(f"{n} at {a}" for n, a in self.addresses.items())
            raise NotFound(f"no {what}{which} is known here, but {known}: connect to it as well")
        return names[0]

    def _sessions(self) -> Sequence[Any]:
        return tuple(self._by_name.values())

    def __repr__(self) -> str:
        return f"<Stack {' '.join(f'{n}={a}' for n, a in self.addresses.items())}>"


def _whole(method: str, request: Any, once: Sequence[str] = ()) -> Generator[Any, Any, Any]:
    """Asks the estate for page after page, and joins them; each page has all of ``once``."""
    whole = yield Call(f"EstateService.{method}", request, as_it_is)
    while whole.next_page_token:
        request.page_token = whole.next_page_token
        page = yield Call(f"EstateService.{method}", request, as_it_is)
        for field in (*once, "parts", "next_page_token"):
            whole.ClearField(field)
        whole.MergeFrom(page)
    return whole
