"""`smokestack dark-storage` and `reclaim`: where all space is, and what nobody uses of it."""

from __future__ import annotations

from typing import Any

import click

from .estate import stack_at, stack_option
from .output import bytes_text, print_table
from .show import output_option, plain, print_data
from .tables import as_text


@click.command("dark-storage")
@click.option("--array", default="", metavar="NAME", help="Only this array: a1.")
@click.option("--volumes", "with_volumes", is_flag=True, help="List those not in use as well.")
@stack_option
@output_option
def dark_storage(array: str, with_volumes: bool, address: tuple[str, ...], output: str) -> None:
    """Show where all space of the arrays is: each byte once, and what is promised of it.

    Dark is what is promised to volumes that are exported to nobody, that no host has found, or that
    no VM's disk lies on.
    """
    with stack_at(address) as stack:
        report = plain(stack.dark_storage(array=array))
    if output != "table":
        print_data({key: report[key] for key in ("arrays", "volumes", "parts")}, output)
        return
    for found in report["arrays"]:
        print_table(found["array"], as_text([_category(row) for row in found["categories"]]))
        click.echo(
            f"dark: {bytes_text(found['dark_bytes'])} of {bytes_text(found['raw_bytes'])} "
            f"({found['dark_ratio']:.1%}); {bytes_text(found['dark_subscribed_bytes'])} of "
            f"{bytes_text(found['subscribed_bytes'])} promised "
            f"({found['dark_subscribed_ratio']:.1%})\n"
        )
    if with_volumes:
        keys = ("volume", "category", "allocated_bytes", "capacity_bytes")
        rows = [
            {**{key: row[key] for key in keys}, "hosts": " ".join(row["hosts"])}
            for row in report["volumes"]
        ]
        print_table("not in use", as_text(rows))
    for part in report["parts"]:
        if not part["answered"]:
            click.echo(f"missing: {part['message']}")


@click.command()
@click.argument("volumes", metavar="[VOLUME]...", nargs=-1)
@click.option("--array", default="", metavar="NAME", help="Only volumes of this array: a1.")
@click.option("--unmap-free", is_flag=True, help="Unmap where no VM's disk lies, too.")
@click.option("--yes", is_flag=True, help="Do what the plan says, without asking.")
@stack_option
def reclaim(
    volumes: tuple[str, ...], array: str, unmap_free: bool, yes: bool, address: tuple[str, ...]
) -> None:
    """Delete volumes that nobody is shown: all without labels, or those named, as a1/v1.

    Shows what would go and what it would free, and asks before anything does.
    """
    names = [_full(volume) for volume in volumes]
    with stack_at(address) as stack:
        plan = stack.reclaim(array=array, volumes=names, unmap_free=unmap_free)
        print_table("plan", as_text([_action(plain(action)) for action in plan.actions]))
        if not any(action.deletes or action.unmaps for action in plan.actions):
            click.echo("nothing to reclaim")
            return
        click.echo(f"frees {bytes_text(plan.freed_bytes)}")
        if not yes:
            click.confirm(
                "delete and unmap these?" if unmap_free else "delete these volumes?", abort=True
            )
        done = stack.reclaim(plan, array=array, volumes=names, unmap_free=unmap_free)
    count = sum(action.deletes for action in done.actions)
    click.echo(f"deleted {count} volumes, freed {bytes_text(done.freed_bytes)}")
    planned = {a.volume: a.deletes or a.unmaps for a in plan.actions}
    for action in done.actions:
        if planned[action.volume] and not (action.deletes or action.unmaps):
            click.echo(f"{action.volume}: {action.message}", err=True)


def _category(row: dict[str, Any]) -> dict[str, Any]:
    name = row["category"].lower().replace("_", " ")
    sizes = {key: row[key] for key in ("physical_bytes", "subscribed_bytes")}
    return {"category": name, **sizes, "volumes": row["volume_count"]}


def _action(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "volume": row["volume"],
        "deleted": "yes" if row["deletes"] else "no",
        "unmapped_bytes": row["unmapped_bytes"],
        "allocated_bytes": row["allocated_bytes"],
        "capacity_bytes": row["capacity_bytes"],
        "because": row["message"],
    }


def _full(name: str) -> str:
    parts = name.split("/")
    return f"arrays/{parts[0]}/volumes/{parts[1]}" if len(parts) == 2 else name
