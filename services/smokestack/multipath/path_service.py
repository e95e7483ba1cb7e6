"""The wire of what is measured of paths, and of what happens to them."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, Final, Protocol

import numpy as np

from smokestack.engine.errors import InvalidArgument, NotFound
from smokestack.engine.event_kinds import EventKind
from smokestack.engine.histogram import BUCKETS, lower_bounds
from smokestack.engine.names import NameForm
from smokestack.v1 import multipath_pb2 as pb
from smokestack.v1 import simulation_pb2

from .parameters import PARAMETERS
from .parameters.keys import keys
from .parameters.parameter import PROBED, Parameter
from .parameters.reading import Reading, read_path
from .shared_service import Handlers

PATH: Final = NameForm("multipaths/m1/hosts/h1/devices/a1.v1/paths/h1-a.p0")
_FORMS: Final = {
    form.count("/"): NameForm(form)
    for form in ("multipaths/m1", "multipaths/m1/hosts/h1", "multipaths/m1/hosts/h1/devices/a1.v1")
}
_CHANGES: Final = (
    EventKind.PATH_DOWN,
    EventKind.PATH_UP,
    EventKind.PATH_DISABLED,
    EventKind.PATH_ENABLED,
    EventKind.PATH_BLOCKED,
    EventKind.PATH_UNBLOCKED,
    EventKind.PATH_REMOVED,
    EventKind.PATH_ADDED,
    EventKind.PATH_MARGINAL,
    EventKind.DEVICE_ACCESS_CHANGED,
)
_NAMES: Final = frozenset(p.name for some in PARAMETERS.values() for p in some)


class Feed(Protocol):
    """Serves the layer's events."""

    def watch(
        self, request: simulation_pb2.WatchEventsRequest, context: Any = None
    ) -> Iterator[simulation_pb2.WatchEventsResponse]:
        """Yields events that a request wants."""


class PathHandlers(Handlers):
    """The part of MultipathService that tells what is measured of paths, and what they do."""

    feed: Feed  # whoever serves the layer gives it

    def GetPathStatistics(
        self, request: pb.GetPathStatisticsRequest, context: Any = None
    ) -> pb.PathStatistics:
        host_id, device_name, path = self._parse(PATH, request.name)
        for index, name in enumerate(request.parameters):
            if name not in _NAMES:
                raise InvalidArgument.at(
                    f"parameters[{index}]",
                    f"{name!r} is none of those that are measured of paths and what they belong "
                    f"to: leave parameters out to see all {len(_NAMES)}",
                )
        with self._requests.read():
            device = self._model.device(host_id, device_name)
            if path not in device.paths:
                raise NotFound.of(request.name)
            reading = read_path(self._model, device, device.paths[path])
        wanted = frozenset(request.parameters) or _NAMES
        return pb.PathStatistics(
            name=request.name, time_ns=reading.now_ns, parameters=list(_told(reading, wanted))
        )

    def WatchPaths(
        self, request: pb.WatchPathsRequest, context: Any = None
    ) -> Iterator[pb.WatchPathsResponse]:
        with self._requests.read():
            self._check_whose(request.name)
        events = simulation_pb2.WatchEventsRequest(
            resume_token=request.resume_token,
            kinds=_CHANGES,
            subject=request.name,
            follow=request.follow,
            only_new=request.only_new,
        )
        for answer in self.feed.watch(events, context):
            yield pb.WatchPathsResponse(
                changes=map(_change, answer.events), resume_token=answer.resume_token
            )

    def _check_whose(self, name: str) -> None:
        """Refuses the name of what has no paths, or does not exist."""
        form = _FORMS.get(name.count("/"), PATH)
        identifiers = self._parse(form, name)
        if len(identifiers) == 1:
            self._model.host(*identifiers)
        elif identifiers:
            device = self._model.device(*identifiers[:2])
            if len(identifiers) == 3 and identifiers[2] not in device.paths:
                raise NotFound.of(name)


def _change(event: simulation_pb2.Event) -> pb.PathChange:
    return pb.PathChange(
        event=event.name,
        path=event.subject,
        time_ns=event.time_ns,
        kind=event.kind,
        cause=event.cause,
    )


def _told(reading: Reading, wanted: Container[str]) -> Iterator[pb.PathParameter]:
    for at, parameters in PARAMETERS.items():
        if at in PROBED and not reading.probing:
            continue
        rows = [dict(zip(at.labels, key, strict=True)) for key in keys(reading, at)]
        for parameter in parameters:
            if parameter.name in wanted:
                for labels, value in zip(rows, parameter.read(reading), strict=True):
                    yield pb.PathParameter(
                        name=parameter.name,
                        unit=parameter.unit,
                        level=at.level,
                        labels=labels,
                        **_value(parameter, value),
                    )


def _value(parameter: Parameter, value: Any) -> dict[str, Any]:
    if parameter.shape == "states":
        return {"state": parameter.states[int(value)]}
    if parameter.shape == "number":
        return {"number": float(value)}
    if parameter.shape == "count":
        return {"count": int(value)}
    return {"histogram": _histogram(value)}


def _histogram(row: Any) -> pb.SparseHistogram:
    bounds = lower_bounds()
    return pb.SparseHistogram(
        value_count=int(row[0]),
        value_sum=int(row[1]),
        ranges=[
            pb.HistogramRange(
                from_value=int(bounds[at]),
                until_value=int(bounds[at + 1]) if at + 1 < BUCKETS else 0,
                value_count=int(row[2 + at]),
            )
            for at in np.flatnonzero(row[2:]).tolist()
        ],
    )
