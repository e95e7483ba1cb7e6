"""`smokestack topology`: shows what stands on what, from VM to pool."""

from __future__ import annotations

from typing import Any

import click

from .connection import DEFAULT_ADDRESS, address_option, connected
from .output import print_table
from .show import output_option, plain, print_data


@click.command()
@click.option("--vm", default="", metavar="NAME", help="Only this VM: hosts/h1/vms/v1, or h1/v1.")
@click.option("--volume", default="", metavar="NAME", help="Only this volume: a1/v1.")
@click.option("--host", default="", metavar="NAME", help="Only this host: h1.")
@address_option(default=DEFAULT_ADDRESS, help="The hypervisor, or an estate that stands alone.")
@output_option
def topology(vm: str, volume: str, host: str, address: str, output: str) -> None:
    """Show what stands on what: VM, disk, device, paths, volume, pool, each with its state.

    A service that does not answer takes only its part with it.
    """
    with connected(address) as channel:
        from smokestack.v1 import estate_pb2 as pb
        from smokestack.v1 import estate_pb2_grpc

        stub = estate_pb2_grpc.EstateServiceStub(channel)
        request = pb.GetTopologyRequest(
            vm=_full("hosts/{}/vms/{}", vm),
            volume=_full("arrays/{}/volumes/{}", volume),
            host=_full("hosts/{}", host),
        )
        chains: list[Any] = []
        while True:
            answer = stub.GetTopology(request)
            chains += [plain(chain) for chain in answer.chains]
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
        parts = [plain(part) for part in answer.parts]
    if output != "table":
        print_data({"chains": chains, "parts": parts}, output)
        return
    print_table("topology", [_row(chain) for chain in chains])
    for part in parts:
        if not part["answered"]:
            click.echo(f"missing: {part['message']}")


def _full(form: str, name: str) -> str:
    parts = name.split("/")
    return form.format(*parts) if name and len(parts) == form.count("{}") else name


def _row(chain: dict[str, Any]) -> dict[str, str]:
    device, volume, pool = (chain.get(part, {}) for part in ("device", "volume", "pool"))
    paths = chain["paths"]
    usable = sum(path["state"] == "ACTIVE" for path in paths)
    down = sorted({_last(path["port"]) for path in paths if path["port_state"] == "DOWN"})
    used = pool.get("allocated_bytes", 0) / (pool.get("capacity_bytes") or 1)
    return {
        "host": _last(chain["host"]),
        "vm": _last(chain["vm"]),
        "disk": _last(chain.get("disk", {}).get("name", "")),
        "device": _stated(device),
        "paths": f"{usable} of {len(paths)}" if device.get("name") else "",
        "ports down": " ".join(down),
        "volume": _stated(volume, 3),
        "pool": _stated(pool),
        "pool used": f"{used:.1%}" if pool else "",
        "state": chain["state"],
    }


def _stated(part: dict[str, Any], parts: int = 1) -> str:
    """Returns a short name, with its state unless all is well."""
    if not part:
        return ""
    name = "/".join(part["name"].split("/")[1::2]) if parts > 1 else _last(part["name"])
    return name if part["state"] == "UP" else f"{name} {part['state']}".strip()


def _last(name: str) -> str:
    return name.rpartition("/")[2]
