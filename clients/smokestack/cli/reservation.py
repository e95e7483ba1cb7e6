"""`smokestack reservation`: which hosts are registered with volumes, and who has reserved them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .estate import Estate, stack_at, stack_option
from .groups import Group
from .kinds import kind_of
from .output import print_table
from .parameters import reservation_key
from .show import output_option, plain, print_data

if TYPE_CHECKING:
    from smokestack.client import Stack

_F = TypeVar("_F", bound=Callable[..., Any])
KINDS = (
    "WRITE_EXCLUSIVE",
    "EXCLUSIVE_ACCESS",
    "WRITE_EXCLUSIVE_REGISTRANTS_ONLY",
    "EXCLUSIVE_ACCESS_REGISTRANTS_ONLY",
    "WRITE_EXCLUSIVE_ALL_REGISTRANTS",
    "EXCLUSIVE_ACCESS_ALL_REGISTRANTS",
)


_key_option = click.option(
    "--key",
    type=reservation_key,
    default="0",
    metavar="KEY",
    help="The host's, as it is registered.",
)


def _kind_argument(function: _F) -> _F:
    choice = click.Choice(KINDS, case_sensitive=False)
    return click.argument("kind", metavar="TYPE", type=choice)(function)


def _out(function: _F) -> _F:
    """What commands share that have a host do something."""
    for decorate in (output_option, stack_option, click.argument("export")):
        function = decorate(function)
    return function


@click.group(cls=Group)
def reservation() -> None:
    """Persistent reservations: hosts register keys with volumes, reserve and preempt.

    EXPORT says which host does it to which volume, such as a1/v1.h1. A TYPE is one of
    WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS, or one of these with _REGISTRANTS_ONLY or _ALL_REGISTRANTS.
    """


@reservation.command("list")
@click.argument("volumes", metavar="[VOLUME]...", nargs=-1)
@stack_option
@output_option
def list_reservations(volumes: tuple[str, ...], address: tuple[str, ...], output: str) -> None:
    """Show who is registered and who has reserved: of VOLUME, or of all that know anybody."""
    kind = kind_of("volume")
    with stack_at(address) as stack:
        estate = Estate(stack.sessions)
        names = [estate.resolve(kind, volume) for volume in volumes]
        every = names or [volume.name for volume in estate.all(kind)]
        found = [plain(_volume(stack, name).reservations()) for name in every]
    known = [row for row in found if volumes or row["registrations"] or row["type"]]
    if output != "table":
        print_data(known, output)
        return
    print_table("reservations", list(map(_row, known)))


@reservation.command()
@_out
@click.argument("new_key", metavar="KEY", type=reservation_key)
@click.option(
    "--key", type=reservation_key, default="0", metavar="OLD", help="The key that it has by now."
)
@click.option("--ignore", is_flag=True, help="Whatever key it has by now.")
@click.option("--aptpl", is_flag=True, help="All that the volume knows outlives a loss of power.")
def register(export: str, new_key: int, key: int, ignore: bool, aptpl: bool, **shown: Any) -> None:
    """Register a KEY, or with 0 end the registration."""
    action = "REGISTER_AND_IGNORE_EXISTING_KEY" if ignore else "REGISTER"
    _carry_out(export, action, shown, key=key, service_key=new_key, aptpl=aptpl)


@reservation.command()
@_out
@_kind_argument
@_key_option
def reserve(export: str, kind: str, key: int, **shown: Any) -> None:
    """Reserve the volume as TYPE."""
    _carry_out(export, "RESERVE", shown, key=key, kind=kind)


@reservation.command()
@_out
@_kind_argument
@_key_option
def release(export: str, kind: str, key: int, **shown: Any) -> None:
    """End the host's reservation of TYPE."""
    _carry_out(export, "RELEASE", shown, key=key, kind=kind)


@reservation.command()
@_out
@click.argument("victim", metavar="VICTIM_KEY", type=reservation_key)
@_kind_argument
@_key_option
@click.option("--abort", is_flag=True, help="And end the commands of those who are registered so.")
def preempt(export: str, victim: int, kind: str, key: int, *, abort: bool, **shown: Any) -> None:
    """End registrations with VICTIM_KEY, and take a reservation that they hold as TYPE."""
    action = "PREEMPT_AND_ABORT" if abort else "PREEMPT"
    _carry_out(export, action, shown, key=key, service_key=victim, kind=kind)


@reservation.command()
@_out
@_key_option
def clear(export: str, key: int, **shown: Any) -> None:
    """End the reservation and all registrations."""
    _carry_out(export, "CLEAR", shown, key=key)


def _carry_out(export: str, action: Any, shown: dict[str, Any], **given: Any) -> None:
    """Has a host do something, and shows what then stands."""
    with stack_at(shown["address"]) as stack:
        name = Estate(stack.sessions).resolve(kind_of("export"), export)
        array = stack.array(name.split("/")[1])
        row = plain(array.exports[name].persistent_reserve(action, **given))
    if shown["output"] != "table":
        print_data(row, shown["output"])
        return
    print_table("reservations", [_row(row)])


def _volume(stack: Stack, name: str) -> Any:
    return stack.array(name.split("/")[1]).volumes[name]


def _row(found: dict[str, Any]) -> dict[str, str]:
    """What a table shows of a volume's reservations."""
    keys = (
        f"{_host(each['host'])}={each['reservation_key']:#x}" for each in found["registrations"]
    )
    kind = found["type"] or ""
    everybody = "all registered" if kind.endswith("ALL_REGISTRANTS") else ""
    return {
        "volume": found["volume"],
        "type": kind,
        "holder": _host(found["holder"]) or everybody,
        "registered": " ".join(keys),
        "generation": str(found["generation"]),
        "aptpl": "yes" if found["aptpl"] else "no",
    }


def _host(name: str) -> str:
    return name.rpartition("/")[2]
