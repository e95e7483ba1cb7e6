"""How messages of the API are shown: tables for people, JSON or YAML with the API's own names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .columns import COLUMNS
from .kinds import Kind
from .output import print_json, print_table
from .tables import as_text

_F = TypeVar("_F", bound=Callable[..., Any])


def output_option(function: _F) -> _F:
    """Adds the option that says how to show."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="How to show it.",
    )(function)


def plain(message: Any) -> dict[str, Any]:
    """Returns a message as JSON has it: words for enums, numbers as numbers."""
    return {
        field.name: _value(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def print_data(value: Any, output: str) -> None:
    """Prints plain values as JSON or YAML."""
    if output == "json":
        print_json(value)
        return
    import yaml

    click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


class Labels(dict[str, Any]):
    """Values by keys that are no fields, so that a table has to show both."""


def show_all(kind: Kind, messages: Sequence[Any], output: str) -> None:
    """Shows a list: in a table what each is and does, without its tuning knobs."""
    if output != "table":
        print_data([plain(message) for message in messages], output)
        return
    rows = [plain(message) for message in messages]
    shown = COLUMNS.get(kind.word) or _telling(kind, rows)
    print_table(kind.plural, as_text([{k: _cell(row.get(k, "")) for k in shown} for row in rows]))


def show_one(kind: Kind, message: Any, output: str) -> None:
    """Shows all of one resource."""
    row = plain(message)
    if output != "table":
        print_data(row, output)
        return
    [texts] = as_text([{key: _cell(value) for key, value in row.items()}])
    width = max(map(len, texts))
    for key, text in texts.items():
        click.echo(f"{key:<{width}}  {text}".rstrip())


def _telling(kind: Kind, rows: list[dict[str, Any]]) -> list[str]:
    """Returns the fields that tell most: the name, what is required, what is measured, switches."""
    from .fields import settable

    given = settable(kind, "create") or settable(kind, "update")
    return [
        key
        for key in dict.fromkeys(key for row in rows for key in row)
        if key not in given or given[key] or all(isinstance(row.get(key), bool) for row in rows)
    ]


def _value(field: Any, value: Any) -> Any:
    from smokestack.client.kinds import is_map, is_repeated

    if is_map(field):
        return Labels(sorted(value.items()))
    if is_repeated(field):
        return [_single(field, each) for each in value]
    return _single(field, value)


def _single(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return plain(value)
    if field.enum_type is not None:
        from smokestack.client.kinds import enum_word

        return enum_word(field.enum_type, value)
    return value


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(_cell(each)) for each in value)
    if isinstance(value, Labels):
        return " ".join(f"{key}={_cell(each)}" for key, each in value.items())
    if isinstance(value, dict):
        return ":".join(str(each) for each in value.values())
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else value
