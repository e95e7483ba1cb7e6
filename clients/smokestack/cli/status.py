"""`smokestack status`: shows a running service's clock, and what it has carried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .connection import DEFAULT_ADDRESS, address_option, connected
from .output import NS_PER_SECOND, print_json, print_table, seconds_text
from .tables import as_text, disk_rows, path_rows, pool_rows, port_rows

if TYPE_CHECKING:
    import grpc


@click.command()
@address_option(default=[DEFAULT_ADDRESS], multiple=True, help="The service; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list, one entry a service.")
def status(address: tuple[str, ...], as_json: bool) -> None:
    """Show the clock of a service, and what it has carried so far.

    A hypervisor shows its virtual disks, a multipath layer its paths, an array its ports and pools.
    """
    shown = []
    for place in address:
        with connected(place) as channel:
            shown.append(_status(channel, place))
    if as_json:
        print_json(shown)
        return
    for entry in shown:
        click.echo(_headline(entry))
        for title, rows in entry["tables"].items():
            print_table(title.replace("_", " "), as_text(rows))


def _headline(entry: dict[str, Any]) -> str:
    driver = f", driven by {entry['driver']}" if entry["driver"] else ""
    now = seconds_text(entry["now_ns"] / NS_PER_SECOND)
    return f"{entry['name']} at {entry['address']}: now {now}, seed {entry['seed']}{driver}"


def _status(channel: grpc.Channel, address: str) -> dict[str, Any]:
    from smokestack.v1 import simulation_pb2 as pb
    from smokestack.v1 import simulation_pb2_grpc

    stub = simulation_pb2_grpc.SimulationServiceStub(channel)
    simulation = stub.GetSimulation(pb.GetSimulationRequest())
    return {
        "address": address,
        "name": simulation.name,
        "now_ns": simulation.now_ns,
        "seed": simulation.seed,
        "driver": simulation.driver,
        "lookahead_ns": simulation.lookahead_ns,
        "tables": _tables(channel, simulation.name),
    }


def _tables(channel: grpc.Channel, name: str) -> dict[str, list[dict[str, Any]]]:
    from smokestack.v1 import array_pb2_grpc, hypervisor_pb2_grpc, multipath_pb2_grpc

    kind = name.partition("/")[0]
    if kind == "hypervisors":
        return {"virtual_disks": disk_rows(hypervisor_pb2_grpc.HypervisorServiceStub(channel))}
    if kind == "multipaths":
        return {"paths": path_rows(multipath_pb2_grpc.MultipathServiceStub(channel), name)}
    array = array_pb2_grpc.ArrayServiceStub(channel)
    return {"ports": port_rows(array, name), "pools": pool_rows(array, name)}
