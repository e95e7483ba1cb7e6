"""`smokestack fault`: breaks things in a running stack, shows what is broken, and mends it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Any

import click

from .connection import prepare
from .estate import Estate, estate_at, stack_option
from .groups import Group
from .output import print_table
from .parameters import duration
from .show import output_option, plain, print_data
from .tables import as_text

_OPTIONS = {"factor_per_mille": "--factor", "down_ns": "--down", "up_ns": "--up"}


@click.group(cls=Group)
def fault() -> None:
    """Break things: ports, media, paths, VMs. The same seed breaks them the same way."""


@fault.command("kinds")
@stack_option
@output_option
def list_kinds(address: tuple[str, ...], output: str) -> None:
    """Show what can break, and what it takes."""
    with estate_at(address) as estate:
        kinds = {
            kind.name: kind
            for service in sorted(estate.services, reverse=True)  # of several arrays the first
            for kind in _pages(estate, service, "ListFaultKinds", "fault_kinds")
        }
    if output != "table":
        print_data([plain(kind) for kind in kinds.values()], output)
        return
    for kind in kinds.values():
        takes = ["--probability", "--count"] if kind.per_io else []
        takes += [_OPTIONS[name] for name in kind.parameters if name in _OPTIONS]
        click.echo(f"{kind.name} {kind.target_example}  {' '.join(takes)}".rstrip())
        click.echo(f"    {kind.description}")


@fault.command("list")
@stack_option
@output_option
def list_faults(address: tuple[str, ...], output: str) -> None:
    """Show the rules of all services, those that have ended included."""
    with estate_at(address) as estate:
        rules = [
            plain(rule)
            for service in sorted(estate.services)
            for rule in _pages(estate, service, "ListFaults", "faults")
        ]
    if output != "table":
        print_data(rules, output)
        return
    columns = ("name", "state", "kind", "target", "hit_count", "begin_ns", "end_ns")
    print_table("faults", as_text([{key: rule[key] for key in columns} for rule in rules]))


@fault.command()
@click.argument("kind")
@click.argument("target")
@click.option("--id", "fault_id", default="", help="Name of the rule. Default: made of the kind.")
@click.option("--probability", type=click.FloatRange(0, 1), help="Of hitting an I/O. Default 1.")
@click.option("--count", type=click.IntRange(0), default=0, help="Most I/Os to hit, or flaps.")
@click.option("--start", type=duration, default="0s", help="Virtual time, e.g. 2.5s. Default: now.")
@click.option("--duration", type=duration, default="0s", help="E.g. 300ms. Default: until cleared.")
@click.option(
    "--factor",
    type=click.FloatRange(1, 1000),
    help="How many times as long things take that are slow, e.g. 8 or 1.5.",
)
@click.option("--down", type=duration, default="0s", help="Of what flaps: how long it is down.")
@click.option("--up", type=duration, default="0s", help="Of what flaps: how long it is up between.")
@stack_option
@output_option
def inject(*, kind: str, target: str, address: tuple[str, ...], output: str, **given: Any) -> None:
    """Break a TARGET: `fault inject PORT_DOWN 'arrays/a1/ports/*' --duration 300ms`.

    A target is a full name, in which * stands for any characters of one part; a rule for
    'arrays/*/ports/p0' goes to every array.
    """
    prepare()
    from smokestack.v1 import faults_pb2 as pb

    rule = pb.FaultRule(
        kind=kind.upper().replace("-", "_"),
        target=target,
        probability=given["probability"],
        count=given["count"],
        start_ns=given["start"],
        duration_ns=given["duration"],
        factor_per_mille=round((given["factor"] or 0) * 1000),
        down_ns=given["down"],
        up_ns=given["up"],
    )
    request = pb.InjectFaultRequest(fault_id=given["fault_id"], fault=rule)
    with estate_at(address) as estate:
        service = "/".join(target.split("/")[:2])
        services = fnmatch.filter(estate.services, service) if "*" in service else [target]
        made = [plain(_call(estate, s, "InjectFault", request)) for s in services or [target]]
    if output != "table":
        print_data(made, output)
        return
    for row in made:
        click.echo(f"{row['name']} {row['state'].lower()}")


@fault.command()
@click.argument("names", metavar="NAME", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All rules of all services.")
@stack_option
def clear(names: tuple[str, ...], everything: bool, address: tuple[str, ...]) -> None:
    """Mend what rules of these full names have broken, and remove them."""
    if bool(names) == everything:
        raise click.UsageError("name the rules to clear, as `fault list` shows them, or give --all")
    with estate_at(address) as estate:
        from smokestack.v1 import faults_pb2 as pb

        if everything:
            names = tuple(
                rule.name
                for service in sorted(estate.services)
                for rule in _pages(estate, service, "ListFaults", "faults")
            )
        for name in names:
            ended = _call(estate, name, "ClearFault", pb.ClearFaultRequest(name=name))
            click.echo(f"{ended.name} cleared after {ended.hit_count} hits")


def _call(estate: Estate, where: str, method: str, request: Any) -> Any:
    from smokestack.client.operations import Call, as_it_is

    return estate.session(where).run(Call(f"SimulationService.{method}", request, as_it_is))


def _pages(estate: Estate, service: str, method: str, field: str) -> Iterator[Any]:
    from smokestack.v1 import faults_pb2 as pb

    request = getattr(pb, f"{method}Request")()
    while True:
        answer = _call(estate, service, method, request)
        yield from getattr(answer, field)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token
