"""`smokestack array serve` and its siblings: one service as a process of its own."""

from __future__ import annotations

from collections.abc import Callable
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


def _served(address: str) -> Callable[[_F], _F]:
    """Adds the options that all services share."""
    options = (
        click.option("--listen", metavar="HOST:PORT", default=address, show_default=True),
        click.option("--metrics-listen", metavar="HOST:PORT", help="Serve /metrics there."),
        click.option(
            "--insecure", is_flag=True, help="Allow other machines in, without encryption."
        ),
        click.option("--json", "as_json", is_flag=True, help="Say where as one line of JSON."),
    )

    def add(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


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
@click.option(
    "--multipath",
    type=parse_address,
    metavar="HOST:PORT",
    default=MULTIPATH_ADDRESS,
    show_default=True,
    help="The multipath layer to drive.",
)
@clock_options("manual")
@_seed_option
@_state_option
@_served(HYPERVISOR_ADDRESS)
def serve_hypervisor(
    *,
    name: str,
    multipath: str,
    clock: str,
    factor: float,
    autojump: bool,
    seed: int,
    state: str | None,
    listen: str,
    metrics_listen: str | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Serve a hypervisor until Ctrl-C."""
    prepare()
    from smokestack.server.serve import serve_hypervisor as serve

    serve(
        multipath,
        listen,
        metrics_listen,
        name=name,
        seed=seed,
        clock=clock_settings(clock, factor, autojump),
        state=state,
        insecure=insecure,
        ready=_ready(as_json),
    )


@click.group(cls=Group)
def multipath() -> None:
    """Run a multipath layer on its own: devices, paths, queues."""


@multipath.command("serve")
@click.option("--name", default="m1", show_default=True, help="Identifier of the layer.")
@click.option(
    "--array",
    "arrays",
    type=named_address,
    metavar="ID=HOST:PORT",
    multiple=True,
    default=[f"a1={ARRAY_ADDRESS}"],
    show_default=True,
    help="An array to connect to; may be repeated.",
)
@click.option(
    "--qfull-retry-delay",
    "qfull_retry_delay_ns",
    type=duration,
    metavar="DURATION",
    default="1ms",
    show_default=True,
    help="Wait of a command that met TASK SET FULL.",
)
@click.option(
    "--not-ready-retry-delay",
    "not_ready_retry_delay_ns",
    type=duration,
    metavar="DURATION",
    default="100ms",
    show_default=True,
    help="Wait of a command that met a logical unit in transition, standby or unavailable.",
)
@click.option(
    "--command-timeout",
    "command_timeout_ns",
    type=duration,
    metavar="DURATION",
    default="0s",
    show_default=True,
    help="How long a command may be without an answer before it is aborted; 0: without end.",
)
@click.option(
    "--task-management-timeout",
    "task_management_timeout_ns",
    type=duration,
    metavar="DURATION",
    default="10s",
    show_default=True,
    help="How long an abort or a reset may be without an answer.",
)
@click.option(
    "--escalation",
    type=click.Choice(["abort-task", "logical-unit-reset", "target-reset", "path-down"]),
    default="path-down",
    show_default=True,
    help="The last step that is taken when aborts are not answered.",
)
@click.option(
    "--apd-timeout",
    "apd_timeout_ns",
    type=duration,
    metavar="DURATION",
    default="140s",
    show_default=True,
    help="How long a device may be without a usable path before it is timed out.",
)
@click.option(
    "--apd-handling",
    type=click.Choice(["fail", "until-timeout", "hold"]),
    default="fail",
    show_default=True,
    help="What becomes of the commands of a device without a usable path.",
)
@_state_option
@_served(MULTIPATH_ADDRESS)
def serve_multipath(
    *,
    name: str,
    arrays: tuple[tuple[str, str], ...],
    state: str | None,
    listen: str,
    metrics_listen: str | None,
    insecure: bool,
    as_json: bool,
    apd_handling: str,
    escalation: str,
    **delays_ns: int,
) -> None:
    """Serve a multipath layer until Ctrl-C."""
    prepare()
    from smokestack.server.serve import serve_multipath as serve
    from smokestack.server.stack import multipath_spec
    from smokestack.v1 import multipath_pb2, scenario_pb2

    settings = multipath_pb2.Multipath(
        name=name,
        apd_handling=f"APD_HANDLING_{apd_handling.replace('-', '_').upper()}",
        escalation=f"ESCALATION_{escalation.replace('-', '_').upper()}",
    )
    for setting, delay_ns in delays_ns.items():
        setattr(settings, setting, delay_ns)
    serve(
        dict(arrays),
        listen,
        metrics_listen,
        spec=multipath_spec(scenario_pb2.Scenario(multipath=settings)),
        state=state,
        insecure=insecure,
        ready=_ready(as_json),
    )


@click.group(cls=Group)
def array() -> None:
    """Run an array on its own: ports, pools, thin volumes."""


@array.command("serve")
@click.option("--name", default="a1", show_default=True, help="Identifier of the array.")
@_seed_option
@_state_option
@_served(ARRAY_ADDRESS)
def serve_array(
    *,
    name: str,
    seed: int,
    state: str | None,
    listen: str,
    metrics_listen: str | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Serve an array until Ctrl-C."""
    prepare()
    from smokestack.server.serve import serve_array as serve

    serve(
        name,
        listen,
        metrics_listen,
        seed=seed,
        state=state,
        insecure=insecure,
        ready=_ready(as_json),
    )


@click.group(cls=Group)
def estate() -> None:
    """Run what joins the services on its own: topology."""


@estate.command("serve")
@click.option(
    "--hypervisor",
    type=parse_address,
    metavar="HOST:PORT",
    default=HYPERVISOR_ADDRESS,
    show_default=True,
    help="The hypervisor; services that it knows need not be named.",
)
@click.option("--multipath", type=parse_address, metavar="HOST:PORT", help="The multipath layer.")
@click.option(
    "--array",
    "arrays",
    type=named_address,
    metavar="ID=HOST:PORT",
    multiple=True,
    help="An array; may be repeated.",
)
@click.option("--listen", metavar="HOST:PORT", default=ESTATE_ADDRESS, show_default=True)
@click.option("--insecure", is_flag=True, help="Allow other machines in, without encryption.")
@click.option("--json", "as_json", is_flag=True, help="Say where as one line of JSON.")
def serve_estate(
    *,
    hypervisor: str,
    multipath: str | None,
    arrays: tuple[tuple[str, str], ...],
    listen: str,
    insecure: bool,
    as_json: bool,
) -> None:
    """Serve the estate until Ctrl-C. Services need not be there yet, or still."""
    from smokestack.server.serve import serve_estate as serve

    serve(
        hypervisor,
        multipath or "",
        dict(arrays),
        listen,
        insecure=insecure,
        ready=_ready(as_json),
    )


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
    "array_address",
    type=named_address,
    metavar="ID=HOST:PORT",
    default=f"a1={ARRAY_ADDRESS}",
    show_default=True,
    help="The array.",
)
@click.option(
    "--multipath",
    type=parse_address,
    metavar="HOST:PORT",
    default=MULTIPATH_ADDRESS,
    show_default=True,
    help="The multipath layer that the node is a host of.",
)
@click.option("--controller-only", is_flag=True, help="Serve no Node, and need no multipath layer.")
@click.option("--node", default="", metavar="ID", help="The host to serve as Node: the first one.")
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
@click.option("--insecure", is_flag=True, help="Allow other machines in, without encryption.")
@click.option("--json", "as_json", is_flag=True, help="Say where as one line of JSON.")
def serve_csi(
    *,
    endpoint: str,
    array_address: tuple[str, str],
    multipath: str,
    controller_only: bool,
    node: str,
    volumes_per_node: int,
    announce_health: bool,
    insecure: bool,
    as_json: bool,
) -> None:
    """Serve CSI until Ctrl-C. The array need not be there yet, or still."""
    prepare()
    from smokestack.server.serve import serve_csi as serve

    serve(
        *array_address,
        "" if controller_only else multipath,
        endpoint,
        node_id=node,
        volumes_per_node=volumes_per_node,
        announce_health=announce_health,
        insecure=insecure,
        ready=_ready(as_json),
    )


def _ready(as_json: bool) -> Callable[[Endpoint], None]:
    def ready(endpoint: Endpoint) -> None:
        if as_json:
            place = {"name": endpoint.name, "address": endpoint.address}
            print_json({**place, "metrics_url": endpoint.metrics_url}, one_line=True)
            return
        metrics = f", metrics at {endpoint.metrics_url}" if endpoint.metrics_url else ""
        click.echo(f"{endpoint.name} serves at {endpoint.address}{metrics}; Ctrl-C ends it")

    return ready
