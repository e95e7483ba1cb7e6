"""`smokestack statistics`: what is measured of a path and of what it belongs to."""

from __future__ import annotations

from typing import Any

import click

from .estate import estate_at, stack_option
from .kinds import kind_of
from .output import NS_PER_SECOND, print_table
from .show import output_option, plain, print_data


@click.command()
@click.argument("path")
@click.argument("parameters", metavar="[PARAMETER]...", nargs=-1)
@stack_option
@output_option
def statistics(
    path: str, parameters: tuple[str, ...], address: tuple[str, ...], output: str
) -> None:
    """Show what is measured of a PATH, its nexus, device, adapter, links and fabric, and the array.

    The array's side is its port, the port's controller, the volume and its pool, where a
    hypervisor's port or an estate joins them.

    A PARAMETER is one by its name in /metrics; without any, all are shown.
    """
    from smokestack.client.operations import Call, as_it_is
    from smokestack.v1 import multipath_pb2 as pb

    with estate_at(address) as estate:
        name = estate.resolve(kind_of("path"), path)
        request = pb.GetPathStatisticsRequest(name=name, parameters=parameters)
        joined = next((n for n in estate.services if n.startswith("hypervisors/")), "")
        service = "EstateService" if joined else "MultipathService"
        session = estate.session(joined or name)
        answer = session.run(Call(f"{service}.GetPathStatistics", request, as_it_is))
    if output != "table":
        print_data(plain(answer), output)
        return
    print_table(
        f"{name} at {answer.time_ns / NS_PER_SECOND:.6f} s", list(map(_row, answer.parameters))
    )


def _row(parameter: Any) -> dict[str, str]:
    labels = " ".join(f"{key}={value}" for key, value in sorted(parameter.labels.items()))
    return {
        "parameter": parameter.name.removeprefix("smokestack_"),
        "of": labels,
        "value": _value(parameter),
        "unit": parameter.unit,
    }


def _value(parameter: Any) -> str:
    if parameter.WhichOneof("value") != "histogram":
        value = getattr(parameter, parameter.WhichOneof("value"))
        return f"{value:g}" if isinstance(value, float) else str(value)
    count, total = parameter.histogram.value_count, parameter.histogram.value_sum
    if not count:
        return "none"
    mean = total / count / (1e9 if parameter.unit == "seconds" else 1)
    return f"{count} of {mean:.6g} on average"
