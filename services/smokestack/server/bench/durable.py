"""What a state directory costs: creates beside those of an array in memory, and coming back.

Two arrays are served by processes of their own, one in memory, one with a state directory.  The
same clients create volumes on both in turns, each waiting for its answer.  Then the durable one is
killed, and started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import grpc

from smokestack.engine.clock import Stopwatch
from smokestack.v1 import array_pb2 as pb
from smokestack.v1 import array_pb2_grpc

from ..processes import Child

_ARRAY: Final = "arrays/a1"
_POOL: Final = f"{_ARRAY}/pools/p1"
_BATCH: Final = 5_000
_GIB: Final = 1 << 30


def run(
    volumes: int = 100_000, clients: int = 32, rounds: int = 9, calls: int = 1_000, starts: int = 3
) -> dict[str, Any]:
    """Creates so many volumes in all, the last ones call by call; a ratio is a median of rounds."""
    with TemporaryDirectory(prefix="smokestack-") as folder:
        state = Path(folder) / "state"
        with _served() as memory, _served(state) as durable:
            number, ratios, rates = count(), [], []
            for api in (memory, durable):
                _fill(api, volumes - rounds * calls)
            with ThreadPoolExecutor(clients) as pool:
                for _ in range(rounds):
                    first = next(number) * calls
                    took = [_creates(pool, api, first, calls) for api in (memory, durable)]
                    ratios.append(took[0] / took[1])
                    rates.append([calls / seconds for seconds in took])
        restarts = [_restart(state, volumes) for _ in range(starts)]
        with Stopwatch() as watch, _served():
            empty = watch.elapsed_seconds
    return {
        "volumes": volumes,
        "clients": clients,
        "creates_per_wall_second_in_memory": round(median(rate[0] for rate in rates)),
        "creates_per_wall_second_durable": round(median(rate[1] for rate in rates)),
        "durable_ratio": round(median(ratios), 3),
        "restart_seconds": round(median(restarts), 3),
        "restart_seconds_max": round(max(restarts), 3),
        "start_seconds_empty": round(empty, 3),
    }


def _restart(state: Path, volumes: int) -> float:
    """Returns the seconds from the start of a process to its first answer; then it is killed."""
    with Stopwatch() as watch, _served(state) as api:
        took = watch.elapsed_seconds
        found = api.GetArray(pb.GetArrayRequest(name=_ARRAY))
    if found.subscribed_bytes != volumes * _GIB:
        raise RuntimeError(f"{found.subscribed_bytes // _GIB} of {volumes} volumes came back")
    return took


def _fill(api: Any, volumes: int) -> None:
    """Makes a pool with volumes in it, in batches."""
    pool = pb.Pool(capacity_bytes=1 << 50)
    api.CreatePool(pb.CreatePoolRequest(parent=_ARRAY, pool_id="p1", pool=pool))
    for first in range(0, volumes, _BATCH):
        names = (f"f{n}" for n in range(first, min(first + _BATCH, volumes)))
        api.BatchCreateVolumes(
            pb.BatchCreateVolumesRequest(parent=_ARRAY, requests=map(_request, names))
        )


def _creates(pool: ThreadPoolExecutor, api: Any, first: int, calls: int) -> float:
    """Returns the seconds that creating volumes one by one takes all clients together."""
    with Stopwatch() as watch:
        for _ in pool.map(partial(_create, api), range(first, first + calls)):
            pass
    return watch.elapsed_seconds


def _create(api: Any, number: int) -> None:
    api.CreateVolume(_request(f"v{number}", f"r{number}"))


def _request(volume_id: str, request_id: str = "") -> pb.CreateVolumeRequest:
    volume = pb.Volume(pool=_POOL, capacity_bytes=_GIB)
    return pb.CreateVolumeRequest(
        parent=_ARRAY, volume_id=volume_id, volume=volume, request_id=request_id
    )


@contextmanager
def _served(state: Path | None = None) -> Iterator[Any]:
    """Yields the stub of an array in a process of its own, which is killed in the end."""
    child = Child(["array", *([] if state is None else ["--state", str(state)])])
    try:
        with grpc.insecure_channel(child.endpoint.address) as channel:
            yield array_pb2_grpc.ArrayServiceStub(channel)
    finally:
        child.kill()
