"""`smokestack array serve` and its siblings: one service as a process of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .clock_options import clock_options, clock_settings
from .connection import prepare
from .groups import Group
from .output import print_json
from .parameters import SEED, duration, named_address
from .parameters import address as parse_address

if TYPE_CHECKING:
    from smokestack.server.listen import Endpoint

# Where `smokestack up` has them too, so that three bare commands find one another.
HYPERVISOR_ADDRESS = "127.0.0.1:50051"
MULTIPATH_ADDRESS = "127.0.0.1:50052"
ARRAY_ADDRESS = "127.0.0.1:50053"
ESTATE_ADDRESS = "127.0.0.1:50050"
CSI_ENDPOINT = "unix:///tmp/csi.sock"
_F = TypeVar("_F", bound=Callable[..., Any])


def _listening(address: str) -> Callable[[_F], _F]:
    """Adds the options that say where a service and its metrics are served."""

    def add(function: _F) -> _F:
        metrics = click.option(
            "--metrics-listen", metavar="HOST:PORT", help="Serve /metrics there."
        )
        return _listen_option(address)(metrics(function))

    return add


def _telling(serve: Callable[..., None]) -> Callable[..., None]:
    """Adds what all services can be told; ``ready`` says where each is."""

    @click.option("--insecure", is_flag=True, help="Allow other machines in, without encryption.")
    @click.option("--json", "as_json", is_flag=True, help="Say where as one line of JSON.")
    @functools.wraps(serve)
    def command(*, as_json: bool, **options: Any) -> None:
        prepare()
        serve(ready=_ready(as_json), **options)

    return command


def _ready(as_json: bool) -> Callable[[Endpoint], None]:
    def ready(endpoint: Endpoint) -> None:
        if as_json:
            place = {"name": endpoint.name, "address": endpoint.address}
            print_json({**place, "metrics_url": endpoint.metrics_url}, one_line=True)
            return
        metrics = f", metrics at {endpoint.metrics_url}" if endpoint.metrics_url else ""
        click.echo(f"{endpoint.name} serves at {endpoint.address}{metrics}; Ctrl-C ends it")

    return ready


def _listen_option(address: str) -> Callable[[_F], _F]:
    return click.option("--listen", metavar="HOST:PORT", default=address, show_default=True)


def _peer_option(peer: str, help: str, default: str | None = None) -> Callable[[_F], _F]:
    """Makes the option that says where another service is."""
    return click.option(
        f"--{peer}",
        type=parse_address,
        metavar="HOST:PORT",
        default=default,
        show_default=default is not None,
        help=help,
    )


def _arrays_option(help: str, default: Sequence[str] = ()) -> Callable[[_F], _F]:
    return click.option(
        "--array",
        "arrays",
        type=named_address,
        metavar="ID=HOST:PORT",
        multiple=True,
        default=default,
        show_default=bool(default),
        help=help,
    )


def _duration_option(name: str, default: str, help: str) -> Callable[[_F], _F]:
    """Makes the option of a setting in nanoseconds, which is given with a unit."""
    return click.option(
        f"--{name}",
        f"{name.replace('-', '_')}_ns",
        type=duration,
        metavar="DURATION",
        default=default,
        show_default=True,
        help=help,
    )


_seed_option = click.option("--seed", type=SEED, default=1, show_default=True)
_state_option = click.option(
    "--state",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Keep all of it there, and come back from there; made if it does not exist.",
)


@click.group(cls=Group)
def hypervisor() -> None:
    """Run a hypervisor on its own: I/O and the clock start there."""


@hypervisor.command("serve")
@click.option("--name", default="hv1", show_default=True, help="Identifier of the hypervisor.")
@_peer_option("multipath", "The multipath layer to drive.", MULTIPATH_ADDRESS)
@clock_options("manual")
@_seed_option
@_state_option
@_listening(HYPERVISOR_ADDRESS)
@_telling
def serve_hypervisor(
    *, multipath: str, clock: str, factor: float, autojump: bool, **options: Any
) -> None:
    """Serve a hypervisor until Ctrl-C."""
    from smokestack.server.serve import serve_hypervisor as serve

    serve(multipath, clock=clock_settings(clock, factor, autojump), **options)


@click.group(cls=Group)
def multipath() -> None:
    """Run a multipath layer on its own: devices, paths, queues."""


@multipath.command("serve")
@click.option("--name", default="m1", show_default=True, help="Identifier of the layer.")
@_arrays_option("An array to connect to; may be repeated.", [f"a1={ARRAY_ADDRESS}"])
@_duration_option("qfull-retry-delay", "1ms", "Wait of a command that met TASK SET FULL.")
@_duration_option(
    "not-ready-retry-delay",
    "100ms",
    "Wait of a command that met a logical unit in transition, standby or unavailable.",
)
@_duration_option(
    "command-timeout",
    "0s",
    "How long a command may be without an answer before it is aborted; 0: without end.",
)
@_duration_option(
    "task-management-timeout",
    "10s",
    "How long an abort or a reset may be without an answer.",
)
@click.option(
    "--escalation",
    type=click.Choice(["abort-task", "logical-unit-reset", "target-reset", "path-down"]),
    default="path-down",
    show_default=True,
    help="The last step that is taken when aborts are not answered.",
)
@_duration_option(
    "apd-timeout",
    "140s",
    "How long a device may be without a usable path before it is timed out.",
)
@click.option(
    "--apd-handling",
    type=click.Choice(["fail", "until-timeout", "hold"]),
    default="fail",
    show_default=True,
    help="What becomes of the commands of a device without a usable path.",
)
@_state_option
@_listening(MULTIPATH_ADDRESS)
@_telling
def serve_multipath(
    *,
    name: str,
    arrays: tuple[tuple[str, str], ...],
    apd_handling: str,
    escalation: str,
    qfull_retry_delay_ns: int,
    not_ready_retry_delay_ns: int,
    command_timeout_ns: int,
    task_management_timeout_ns: int,
    apd_timeout_ns: int,
    **options: Any,
) -> None:
    """Serve a multipath layer until Ctrl-C."""
    from smokestack.server.serve import serve_multipath as serve
    from smokestack.server.stack import multipath_spec
    from smokestack.v1 import multipath_pb2, scenario_pb2

    settings = multipath_pb2.Multipath(
        name=name,
        apd_handling=f"APD_HANDLING_{apd_handling.replace('-', '_').upper()}",
        escalation=f"ESCALATION_{escalation.replace('-', '_').upper()}",
        qfull_retry_delay_ns=qfull_retry_delay_ns,
        not_ready_retry_delay_ns=not_ready_retry_delay_ns,
        command_timeout_ns=command_timeout_ns,
        task_management_timeout_ns=task_management_timeout_ns,
        apd_timeout_ns=apd_timeout_ns,
    )
    spec = multipath_spec(scenario_pb2.Scenario(multipath=settings))
    serve(dict(arrays), spec=spec, **options)


@click.group(cls=Group)
def array() -> None:
    """Run an array on its own: ports, pools, thin volumes."""


@array.command("serve")
@click.option("--name", default="a1", show_default=True, help="Identifier of the array.")
@_seed_option
@_state_option
@_listening(ARRAY_ADDRESS)
@_telling
def serve_array(**options: Any) -> None:
    """Serve an array until Ctrl-C."""
    from smokestack.server.serve import serve_array as serve

    serve(**options)


@click.group(cls=Group)
def estate() -> None:
    """Run what joins the services on its own: topology."""


@estate.command("serve")
@_peer_option(
    "hypervisor",
    "The hypervisor; services that it knows need not be named.",
    HYPERVISOR_ADDRESS,
)
@_peer_option("multipath", "The multipath layer.")
@_arrays_option("An array; may be repeated.")
@_listen_option(ESTATE_ADDRESS)
@_telling
def serve_estate(
    *,
    hypervisor: str,
    multipath: str | None,
    arrays: tuple[tuple[str, str], ...],
    **options: Any,
) -> None:
    """Serve the estate until Ctrl-C. Services need not be there yet, or still."""
    from smokestack.server.serve import serve_estate as serve

    serve(hypervisor, multipath or "", dict(arrays), **options)


@click.group(cls=Group)
def csi() -> None:
    """Run the container storage interface on its own, for tools that want a socket."""


@csi.command("serve")
@click.option(
    "--endpoint",
    metavar="URL",
    default=CSI_ENDPOINT,
    envvar="CSI_ENDPOINT",
    show_default=True,
    show_envvar=True,
    help="Where to serve: unix:///path or HOST:PORT.",
)
@click.option(
    "--array",
    type=named_address,
    metavar="ID=HOST:PORT",
    default=f"a1={ARRAY_ADDRESS}",
    show_default=True,
    help="The array.",
)
@_peer_option("multipath", "The multipath layer that the node is a host of.", MULTIPATH_ADDRESS)
@click.option("--controller-only", is_flag=True, help="Serve no Node, and need no multipath layer.")
@click.option(
    "--node", "node_id", default="", metavar="ID", help="The host to serve as Node: the first one."
)
@click.option(
    "--volumes-per-node",
    type=click.IntRange(0, 16_384),
    default=0,
    help="Most volumes that a node may have; 0: as many as there are LUNs.",
)
@click.option(
    "--announce-health",
    is_flag=True,
    help="Announce the health calls, which only tools of CSI 1.13 know.",
)
@_telling
def serve_csi(
    *, array: tuple[str, str], multipath: str, controller_only: bool, **options: Any
) -> None:
    """Serve CSI until Ctrl-C. The array need not be there yet, or still."""
    from smokestack.server.serve import serve_csi as serve

    serve(*array, "" if controller_only else multipath, **options)
