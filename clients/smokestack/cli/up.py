"""`smokestack up`: serves a whole stack from one process until it is told to end."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .clock_options import clock_options, clock_settings
from .connection import DEFAULT_ADDRESS, prepare
from .output import print_json
from .scenario import read_scenario, scenario_argument

if TYPE_CHECKING:
    from smokestack.server.clocks import ClockSettings
    from smokestack.server.listen import Endpoint
    from smokestack.server.stack import Stack
    from smokestack.v1 import scenario_pb2

PORT_BASE_DEFAULT = 50051
METRICS_OFFSET = 100
_PORT_BASE_MAX = 65_000


@click.command()
@scenario_argument(required=False)
@click.option(
    "--port-base",
    type=click.IntRange(0, _PORT_BASE_MAX),
    default=PORT_BASE_DEFAULT,
    show_default=True,
    help=f"Port of the first service; the others follow it, metrics {METRICS_OFFSET} above. "
    "0 takes free ports.",
)
@click.option("--listen", default="127.0.0.1", show_default=True, help="Host to listen on.")
@click.option("--insecure", is_flag=True, help="Allow other machines in, without encryption.")
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one line of JSON.")
@click.option(
    "--csi-endpoint",
    metavar="URL",
    help="Serve CSI of the first array and host there too, e.g. unix:///tmp/csi.sock.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Keep the stack there, and go on from there, I/O under way included.",
)
@clock_options("paced")
def up(
    *,
    scenario: Path | None,
    port_base: int,
    listen: str,
    insecure: bool,
    as_json: bool,
    csi_endpoint: str | None,
    state: str | None,
    clock: str,
    factor: float,
    autojump: bool,
) -> None:
    """Serve a whole stack from one process: the default one, or SCENARIO's.

    Virtual time keeps step with the wall clock; with --clock manual it stands still until it is
    told to move (`smokestack advance`). Ctrl-C ends it.
    """
    prepare()
    from smokestack.server.serve import asked_to_end

    settings = clock_settings(clock, factor, autojump)
    with _stack(scenario, settings, state) as stack, asked_to_end() as over:
        description = stack.scenario
        _serve(stack, port_base, listen, insecure)
        csi = stack.serve_csi(csi_endpoint, insecure=insecure).address if csi_endpoint else ""
        if as_json:
            print_json(_addresses(stack.endpoints, csi), one_line=True)
        else:
            time = _how_time_moves(clock, factor)
            lines = _introduction(stack.endpoints, csi, description, time)
            click.echo("\n".join(lines))
        over.wait()
    if not as_json:
        click.echo("\nended")


def _stack(
    scenario: Path | None, clock: ClockSettings, state: str | None
) -> AbstractContextManager[Stack]:
    """Returns a scenario's stack, or the one that a state directory holds."""
    from smokestack.server.kept_stack import kept_stack
    from smokestack.server.stack import Stack

    if state is None:
        return Stack(read_scenario(scenario), clock)
    given = read_scenario(scenario) if scenario else None
    return kept_stack(given, read_scenario(None), clock, state)


def _serve(stack: Stack, port_base: int, host: str, insecure: bool) -> None:
    count = len(stack.rooms)
    ports = [port_base + index if port_base else 0 for index in range(count)]
    metrics = [port + METRICS_OFFSET if port else 0 for port in ports]
    try:
        stack.serve(ports, metrics, host=host, insecure=insecure)
    except Exception as error:
        if getattr(error, "reason", "") != "ADDRESS_UNUSABLE":
            raise
        raise click.ClickException(
            f"{error}: choose other ports with --port-base, 0 for free ones"
        ) from None


def _addresses(endpoints: tuple[Endpoint, ...], csi: str) -> dict[str, Any]:
    services = [
        {"name": e.name, "address": e.address, "metrics_url": e.metrics_url} for e in endpoints
    ]
    place = {"csi_endpoint": csi} if csi else {}
    return {"pid": os.getpid(), "services": services, **place}


def _how_time_moves(clock: str, factor: float) -> tuple[str, str]:
    """Returns a sentence, and the command that goes on from there."""
    if clock == "manual":
        sentence = "Virtual time stands still until it is told to move; in another terminal:"
        return sentence, "smokestack advance --duration 1s"
    pace = "as fast as it can" if clock == "flat-out" else f"at {factor:g} × real time"
    return f"Virtual time runs {pace}; in another terminal:", "smokestack clock"


def _introduction(
    endpoints: tuple[Endpoint, ...],
    csi: str,
    scenario: scenario_pb2.Scenario,
    time: tuple[str, str],
) -> list[str]:
    hypervisor = endpoints[0].address
    suffix = "" if hypervisor == DEFAULT_ADDRESS else f" --address {hypervisor}"
    names = max(len(e.name) for e in endpoints)
    places = max(len(e.address) for e in endpoints)
    lines = [f"{e.name:<{names}}  {e.address:<{places}}  {e.metrics_url}" for e in endpoints]
    if csi:
        lines.append(f"{'csi':<{names}}  {csi}")
    if scenario.hosts:
        lines.append("")
    for host in scenario.hosts:
        disks = [f"{vm.name} ({', '.join(d.device for d in vm.disks)})" for vm in host.vms]
        lines.append(f"hosts/{host.name}: VMs {', '.join(disks) or 'none'}")
    lines += [
        "",
        time[0],
        f"  {time[1]}{suffix}",
        f"  smokestack topology{suffix}",
        f"  smokestack status{''.join(f' --address {e.address}' for e in endpoints)}",
    ]
    idle = [
        (f"hosts/{host.name}/vms/{vm.name}", vm.disks[0].name)
        for host in scenario.hosts
        for vm in host.vms
        if vm.disks and not vm.jobs
    ]
    if idle:
        vm_name, disk = idle[0]
        job = {"disk": f"{vm_name}/disks/{disk}", "iodepth": 8, "readRatio": 0.7}
        request = json.dumps({"parent": vm_name, "jobId": "j0", "job": job})
        lines += [
            "A VM without a job does no I/O; any gRPC client can give it one:",
            f"  grpcurl -plaintext -d '{request}' \\",
            f"    {hypervisor} smokestack.v1.HypervisorService/CreateJob",
        ]
    return [*lines, "Ctrl-C ends it."]
