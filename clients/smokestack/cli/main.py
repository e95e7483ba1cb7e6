"""The `smokestack` command: finds the subcommand, and turns its failures into one line.

Subcommands import the server, gRPC and rich when they run, never when they are imported: so
``--help``, ``--version`` and a typing error answer at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from .advance import advance
from .attribute import attribute
from .audit import audit
from .bench import bench
from .clock import clock
from .completion import completion
from .create import create, update
from .dark_storage import dark_storage, reclaim
from .delete import delete
from .demo import demo
from .experiment import experiment
from .failures import INTERRUPTED, explain
from .fault import fault
from .get import get
from .groups import Group
from .init import init
from .listing import list_resources
from .reboot import reboot
from .replay import recording, replay
from .rescan import rescan
from .reservation import reservation
from .reset_device import reset_device
from .run import run
from .scenario import scenario
from .serve import array, csi, estate, hypervisor, multipath
from .shares import shares
from .snapshot import snapshot
from .statistics import statistics
from .status import status
from .stop import stop
from .top import top
from .topology import topology
from .trace import trace
from .up import up
from .watch import watch

DISTRIBUTION = "smokestack-emulator"


class Command(Group):
    """The whole command; every failure that a user can cause ends in one line on stderr."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs and exits: 0 done, 1 failed, 2 bad input, 130 interrupted."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without µ still gets the table
        try:
            code = super().main(args, prog_name, complete_var, False, **extra)
        except click.Abort:
            sys.exit(INTERRUPTED)
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise  # our mistake, not the user's: the traceback says where
            click.echo(f"{prog_name or 'smokestack'}: {failure.line}", err=True)
            sys.exit(failure.exit_code)
        sys.exit(code if isinstance(code, int) else 0)


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from importlib import metadata

    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        version = "(not installed: run from its source)"
    click.echo(f"smokestack {version}")
    context.exit()


@click.group(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def main() -> None:
    """A virtualization stack made of smoke: hypervisor, multipath and thin array over gRPC.

    Start with `smokestack demo`; then `smokestack up` serves a stack to point tools at.
    """


for _command in (
    demo,
    init,
    up,
    status,
    clock,
    advance,
    topology,
    audit,
    attribute,
    dark_storage,
    reclaim,
    list_resources,
    get,
    create,
    update,
    delete,
    rescan,
    statistics,
    top,
    shares,
    reboot,
    reset_device,
    stop,
    reservation,
    watch,
    fault,
    snapshot,
    recording,
    replay,
    run,
    trace,
    scenario,
    experiment,
    bench,
    hypervisor,
    multipath,
    array,
    estate,
    csi,
    completion,
):
    main.add_command(_command)
