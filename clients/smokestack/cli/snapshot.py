"""`smokestack snapshot`: takes a stack's snapshots, goes back to them, carries them elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .estate import stack_at, stack_option
from .groups import Group
from .output import print_table, time_text
from .show import output_option, print_data
from .tables import as_text

if TYPE_CHECKING:
    from smokestack.client import Snapshot

_COLUMNS = ("name", "now_ns", "size_bytes", "digest")


@click.group(cls=Group)
def snapshot() -> None:
    """Take snapshots of a whole stack, I/O under way included, and go back to them."""


@snapshot.command()
@click.argument("snapshot_id", metavar="ID")
@stack_option
@output_option
def create(snapshot_id: str, address: tuple[str, ...], output: str) -> None:
    """Take a snapshot; the stack runs on."""
    with stack_at(address) as stack:
        made = stack.snapshots.create(snapshot_id)
        _show(made, output, "taken")


@snapshot.command("list")
@stack_option
@output_option
def list_snapshots(address: tuple[str, ...], output: str) -> None:
    """Show the snapshots that the stack keeps."""
    with stack_at(address) as stack:
        rows = [_row(one) for one in stack.snapshots]
    if output == "table":
        print_table("snapshots", as_text([{key: row[key] for key in _COLUMNS} for row in rows]))
    else:
        print_data(rows, output)


@snapshot.command()
@click.argument("snapshot_id", metavar="ID")
@stack_option
@output_option
def restore(snapshot_id: str, address: tuple[str, ...], output: str) -> None:
    """Bring the whole stack back to a snapshot; it runs on from there as it did."""
    with stack_at(address) as stack:
        _show(stack.snapshots[snapshot_id].restore(), output, "restored")


@snapshot.command()
@click.argument("snapshot_ids", metavar="ID...", nargs=-1, required=True)
@stack_option
def delete(snapshot_ids: tuple[str, ...], address: tuple[str, ...]) -> None:
    """Delete snapshots."""
    with stack_at(address) as stack:
        for snapshot_id in snapshot_ids:
            one = stack.snapshots[snapshot_id]
            one.delete()
            click.echo(f"{one.name} deleted")


@snapshot.command()
@click.argument("snapshot_id", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@stack_option
def export(snapshot_id: str, file: Path, address: tuple[str, ...]) -> None:
    """Write a snapshot to a FILE, for a stack of the same services and version."""
    with stack_at(address) as stack:
        data = stack.snapshots[snapshot_id].export()
        file.write_bytes(data)
    click.echo(f"{file}: {len(data):,} bytes")


@snapshot.command("import")
@click.argument("snapshot_id", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@stack_option
@output_option
def import_(snapshot_id: str, file: Path, address: tuple[str, ...], output: str) -> None:
    """Take a FILE in as a snapshot, to restore it later. Import only what you trust."""
    data = file.read_bytes()
    with stack_at(address) as stack:
        _show(stack.snapshots.import_(snapshot_id, data), output, "imported")


def _show(one: Snapshot, output: str, what: str) -> None:
    if output == "table":
        at = time_text(one.now_ns)
        click.echo(f"{one.name} {what}: {at} of virtual time, digest {one.digest}")
    else:
        print_data(_row(one), output)


def _row(one: Snapshot) -> dict[str, Any]:
    names = ("name", "now_ns", "digest", "services", "size_bytes", "uid")
    row = {name: getattr(one, name) for name in names}
    return {**row, "services": list(row["services"])}
