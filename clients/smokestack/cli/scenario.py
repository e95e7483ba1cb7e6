"""`smokestack scenario`: a file to start from, and a check of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .groups import Group

if TYPE_CHECKING:
    from smokestack.v1 import scenario_pb2

_F = TypeVar("_F", bound=Callable[..., Any])


def scenario_argument(*, required: bool) -> Callable[[_F], _F]:
    """Returns the argument that names a scenario file."""
    return click.argument("scenario", type=click.Path(path_type=Path), required=required)


def read_scenario(path: Path | None) -> scenario_pb2.Scenario:
    """Returns a file's scenario, or the default one."""
    from smokestack.server.scenario import default_scenario, load_scenario

    return load_scenario(path) if path else default_scenario()


@click.group(cls=Group)
def scenario() -> None:
    """Make scenario files: YAML that says what a stack consists of."""


@scenario.command()
def show() -> None:
    """Print the default stack, with comments: a start for a file of one's own."""
    from smokestack.server.scenario import default_scenario_text

    click.echo(default_scenario_text(), nl=False)


@scenario.command()
@scenario_argument(required=True)
def check(scenario: Path) -> None:
    """Build a scenario and say what is in it, or what is wrong with it and where."""
    found = read_scenario(scenario)
    from smokestack.server.stack import Stack

    with Stack(found):
        pass
    vms = [vm for host in found.hosts for vm in host.vms]
    parts = {
        "arrays": len(found.arrays),
        "volumes": sum(len(array.volumes) for array in found.arrays),
        "hosts": len(found.hosts),
        "VMs": len(vms),
        "jobs": sum(len(vm.jobs) for vm in vms),
    }
    counted = (f"{n} {what if n != 1 else what.removesuffix('s')}" for what, n in parts.items())
    click.echo(f"{scenario}: good: {', '.join(counted)}")
