"""The wire of what is measured of a path: any parameter, of it or of what it belongs to."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, Final

import numpy as np

from smokestack.engine.errors import InvalidArgument, NotFound
from smokestack.engine.histogram import BUCKETS, lower_bounds
from smokestack.engine.names import NameForm
from smokestack.engine.requests import Requests
from smokestack.v1 import multipath_pb2 as pb

from .model import MultipathModel
from .parameters import PARAMETERS
from .parameters.keys import keys
from .parameters.parameter import PROBED, Parameter
from .parameters.reading import Reading, read_path

PATH: Final = NameForm("multipaths/m1/hosts/h1/devices/a1.v1/paths/h1-a.p0")
_NAMES: Final = frozenset(p.name for some in PARAMETERS.values() for p in some)


class PathHandlers:
    """The part of MultipathService that tells what is measured of paths."""

    _model: MultipathModel
    _requests: Requests

    def _parse(self, form: NameForm, name: str, field: str = "name") -> tuple[str, ...]:
        raise NotImplementedError  # the service has it

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
