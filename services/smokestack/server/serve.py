"""Serves one room as a process of its own, until it is told to end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from smokestack.dialects import csi
from smokestack.engine.timekeeper import ClockSettings
from smokestack.multipath.specs import MultipathSpec

from .csi import Elsewhere, csi_room, with_csi
from .estate import EstateService, estate_room, local_peers, remote, with_estate
from .goals_elsewhere import GoalsElsewhere
from .link import DEADLINE_SECONDS, GrpcDevice
from .listen import Endpoint, Listener, checked_address
from .recovery import kept_in
from .rooms import Room, array_room, hypervisor_room, multipath_room

LISTEN_DEFAULT = "127.0.0.1:50051"
CSI_ENDPOINT_DEFAULT = "unix:///tmp/csi.sock"
# Multipath answers no sooner than its slowest array; its driver must not give it up before that.
MULTIPATH_DEADLINE_SECONDS = 4 * DEADLINE_SECONDS

Ready = Callable[[Endpoint], None]


def _quietly(endpoint: Endpoint) -> None:
    """Tells nobody."""


def serve_array(
    name: str = "a1",
    listen: str = LISTEN_DEFAULT,
    metrics_listen: str | None = None,
    *,
    seed: int = 1,
    state: str | None = None,
    insecure: bool = False,
    ready: Ready = _quietly,
) -> None:
    """Serves an array, empty or as its state directory has it; blocks until SIGINT or SIGTERM."""
    room = with_csi(array_room(name, seed))
    with kept_in(room, state) if state is not None else nullcontext():
        _serve(room, listen, metrics_listen, insecure=insecure, ready=ready)


def serve_multipath(
    arrays: Mapping[str, str],
    listen: str = LISTEN_DEFAULT,
    metrics_listen: str | None = None,
    *,
    spec: MultipathSpec | None = None,
    state: str | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
    insecure: bool = False,
    ready: Ready = _quietly,
) -> None:
    """Serves a multipath layer over the arrays at these addresses, by identifier.

    What its state directory has goes before ``spec``.
    """
    room = multipath_room(spec)
    with ExitStack() as links:
        for array_id, address in arrays.items():
            device = connected(address, deadline_seconds)
            links.callback(device.close)
            room.model.connect_array(array_id, device)
            room.simulation.services[device.name] = address
        if state is not None:
            links.enter_context(kept_in(room, state))
        _serve(room, listen, metrics_listen, insecure=insecure, ready=ready)


def serve_hypervisor(
    multipath: str,
    listen: str = LISTEN_DEFAULT,
    metrics_listen: str | None = None,
    *,
    name: str = "hv1",
    seed: int = 1,
    clock: ClockSettings | None = None,
    state: str | None = None,
    deadline_seconds: float = MULTIPATH_DEADLINE_SECONDS,
    insecure: bool = False,
    ready: Ready = _quietly,
) -> None:
    """Serves a hypervisor that drives the multipath layer at this address."""
    room = hypervisor_room(name, seed)
    with ExitStack() as links:
        device = connected(multipath, deadline_seconds)
        links.callback(device.close)
        room.model.connect(device)
        room.simulation.services[device.name] = multipath
        if state is not None:
            links.enter_context(kept_in(room, state))
        room.simulation.clock.change(clock or ClockSettings())
        links.callback(room.simulation.close, "has ended")
        estate = EstateService([*local_peers([room]), remote("multipaths", multipath)])
        room.simulation.goals = GoalsElsewhere(room.model.events, estate.peers)
        _serve(with_estate(room, estate), listen, metrics_listen, insecure=insecure, ready=ready)


def serve_estate(
    hypervisor: str,
    multipath: str = "",
    arrays: Mapping[str, str] | None = None,
    listen: str = LISTEN_DEFAULT,
    *,
    insecure: bool = False,
    ready: Ready = _quietly,
) -> None:
    """Serves what joins the services at these addresses, and those that they name."""
    peers = [remote("hypervisors", hypervisor)]
    peers += [remote("multipaths", multipath)] if multipath else []
    peers += [remote("arrays", place, f"arrays/{name}") for name, place in (arrays or {}).items()]
    _serve(estate_room(EstateService(peers)), listen, None, insecure=insecure, ready=ready)


def serve_csi(
    array_id: str,
    array: str,
    multipath: str = "",
    endpoint: str = CSI_ENDPOINT_DEFAULT,
    *,
    node_id: str = "",
    volumes_per_node: int = 0,
    announce_health: bool = False,
    insecure: bool = False,
    ready: Ready = _quietly,
) -> None:
    """Serves CSI over the array, and over one host of the multipath layer, at these addresses.

    They need not be there yet.  Without a multipath layer there is no Node.
    """
    for address in filter(None, (array, multipath)):
        checked_address("address", address, insecure=True)
    plugin = csi.Plugin(
        Elsewhere("arrays", array),
        f"arrays/{array_id}",
        Elsewhere("multipaths", multipath) if multipath else None,
        csi.Settings(node_id, volumes_per_node, announce_health),
    )
    _serve(csi_room(plugin), endpoint, None, insecure=insecure, ready=ready)


def connected(address: str, deadline_seconds: float = DEADLINE_SECONDS) -> GrpcDevice:
    """Returns the device at an address; UNAVAILABLE says that none answers there."""
    checked_address("address", address, insecure=True)
    return GrpcDevice(address, deadline_seconds=deadline_seconds)


def _serve(
    room: Room[Any],
    listen: str,
    metrics_listen: str | None,
    *,
    insecure: bool,
    ready: Ready,
) -> None:
    listener = Listener(room, listen, metrics_listen, insecure=insecure)
    with asked_to_end() as over:  # who hears of it may end it at once
        listener.start()
        try:
            ready(listener.endpoint)
            over.wait()
        finally:
            listener.stop()


@contextmanager
def asked_to_end() -> Iterator[threading.Event]:
    """Yields what is set once the process is asked to end, by SIGINT or SIGTERM."""
    over = threading.Event()
    before = {s: signal.signal(s, lambda *_: over.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield over
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_stdin() -> None:
    """Ends this process when its standard input does: with the process that holds the other end.

    At once and whatever it is doing, for nothing that it holds is meant to outlive the other.
    """

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
