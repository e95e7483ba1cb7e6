"""`smokestack attribute`: names the layer and the device that a disk's I/O waits for."""

from __future__ import annotations

import click

from .estate import Estate, stack_at, stack_option
from .kinds import kind_of
from .output import NS_PER_SECOND, print_table
from .parameters import duration as duration_ns
from .show import output_option, plain, print_data


@click.command()
@click.argument("target")
@click.option(
    "--over",
    type=duration_ns,
    default="100ms",
    show_default=True,
    metavar="DURATION",
    help="How far to move virtual time, e.g. 250ms: what is answered meanwhile is looked at.",
)
@stack_option
@output_option
def attribute(target: str, over: int, address: tuple[str, ...], output: str) -> None:
    """Name the layer and the device that I/O waits for: host, fabric, array, or none.

    TARGET is a VM's disk, such as h1/v1/d0, or a multipath device, such as h1/a1.v1. Moves
    virtual time, and compares the counters of all services before and after.
    """
    kind = kind_of("device" if _is_device(target) else "disk")
    with stack_at(address) as stack:
        since = stack.mark_latency(Estate(stack.sessions).resolve(kind, target))
        stack.advance(seconds=over / NS_PER_SECOND)
        found = plain(stack.attribute_latency(since))
    if output != "table":
        print_data(found, output)
        return
    ios = int(found["io_count"])
    rows = [
        {
            "layer": layer,
            "mean us": f"{int(found[f'{layer}_total_ns']) / ios / 1_000:,.1f}",
            "explained us": f"{int(found.get(f'{layer}_explained_ns', 0)) / 1_000:,.1f}",
        }
        for layer in ("host", "fabric", "array")
    ]
    print_table(found["device"], rows)
    guilty = f"guilty: {found['layer']}, {found['culprit']}" if found["culprit"] else "none guilty"
    click.echo(guilty)
    for sentence in found["evidence"]:
        click.echo(sentence)


def _is_device(target: str) -> bool:
    """Whether a name is rather a device's than a disk's: its last part has the array before."""
    return target.startswith("multipaths/") or "." in target.rpartition("/")[2]
