"""Fields of resources on the command line: options made from the API's own descriptors.

Which fields may be given, and which must be, the SDK's methods say; what each takes, its type.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .kinds import Kind
from .parameters import duration

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # not generic in every version that is allowed
    _ParamType = click.ParamType

_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50}


def settable(kind: Kind, verb: str) -> dict[str, bool]:
    """Returns the fields that a method takes, each with whether it must be given."""
    resource = kind.resource()
    owner = _collection(resource) if verb == "create" else resource
    method = getattr(owner, verb, None)
    if method is None:
        return {"enabled": True} if verb == "update" and hasattr(resource, "enable") else {}
    found: dict[str, bool] = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY:
            found[parameter.name] = parameter.default is parameter.empty
        elif parameter.kind is parameter.VAR_KEYWORD:
            named = re.search(r"\w+(?=\])", str(parameter.annotation))
            fields = getattr(sys.modules[resource.__module__], named[0] if named else "", None)
            if fields is not None:
                found |= {name: _required(fields, name) for name in fields.__annotations__}
    return found


def _required(fields: Any, name: str) -> bool:
    """Whether a TypedDict must have a key; annotations that are still text hide some of it."""
    annotation = str(fields.__annotations__[name])
    return "Required[" in annotation if not fields.__total__ else "NotRequired[" not in annotation


def options(kind: Kind, verb: str) -> list[click.Parameter]:
    """Returns an option for each field, and one for a file of them."""
    from smokestack.client.kinds import is_repeated

    described = _message(kind).DESCRIPTOR.fields_by_name
    made: list[click.Parameter] = []
    for name, required in settable(kind, verb).items():
        field = described[name]
        made.append(
            click.Option(
                [f"--{name.replace('_', '-')}", name],
                type=_Field(field),
                multiple=is_repeated(field),
                default=None,
                help="Required." if required and verb == "create" else None,
            )
        )
    file = click.Option(
        ["-f", "--file", "file"],
        type=click.Path(path_type=Path, allow_dash=True),
        help="YAML or JSON with fields; options go before it. - reads standard input.",
    )
    return [*made, file]


def given(kind: Kind, verb: str, options: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """Returns the fields that were given, in a file or by option."""
    fields: dict[str, Any] = {}
    known = settable(kind, verb)
    if file is not None:
        fields = _read(file)
        fields.pop("name", None)
        for name in fields:
            if name not in known:
                raise click.UsageError(
                    f"{file}: {_path(kind, name)}: no such field to {verb}: {', '.join(known)}"
                )
    for name, value in options.items():
        if value is not None and value != ():
            fields[name] = list(value) if isinstance(value, tuple) else value
    if verb == "create":
        missing = [name for name, required in known.items() if required and name not in fields]
        if missing:
            paths = ", ".join(_path(kind, name) for name in missing)
            raise click.UsageError(f"{paths}: required")
    return fields


def encoded(kind: Kind, fields: dict[str, Any], scope: dict[str, str]) -> Any:
    """Returns the message of these fields; short names are completed in their scope."""
    from smokestack.client.kinds import is_map, is_repeated

    described = _message(kind).DESCRIPTOR.fields_by_name
    ready: dict[str, Any] = {}
    for name, value in fields.items():
        field = described[name]
        if is_map(field):
            ready[name] = _map(value, _path(kind, name))
            continue
        if is_repeated(field) and not isinstance(value, list):
            raise click.UsageError(f"{_path(kind, name)}: {value!r} is not a list")
        reader = _Field(field, _path(kind, name))
        ready[name] = [reader.read(v) for v in value] if is_repeated(field) else reader.read(value)
    try:
        return kind.rules.encode(ready, scope)
    except TypeError as error:
        raise click.UsageError(str(error)) from None


def _map(value: Any, path: str) -> dict[str, str]:
    """Returns values by key, from the words of options or from YAML."""
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        value = dict(word.partition("=")[::2] for word in value)
    if not isinstance(value, dict):
        raise click.UsageError(f"{path}: {value!r} is no mapping of keys to values")
    return {str(key): str(each) for key, each in value.items()}


class _Field(_ParamType):
    """The type of one field, with what people write for sizes and durations."""

    name = "value"

    def __init__(self, field: Any, path: str = "") -> None:
        self._field = field
        self._path = path or field.name

    def get_metavar(self, param: Any, ctx: Any = None) -> str:
        """Returns what the help shows for the value."""
        return self._shape()

    def _shape(self) -> str:
        from smokestack.client.kinds import is_map

        field = self._field
        if is_map(field):
            return "KEY=VALUE"
        if field.enum_type is not None:
            return "|".join(self._words())
        if field.message_type is not None:
            return ",".join(f"{f.name}=…" for f in field.message_type.fields)
        if field.name.endswith("_ns"):
            return "DURATION"
        if field.name.endswith("_bytes"):
            return "SIZE"
        kinds = {"str": "TEXT", "bool": "true|false", "float": "NUMBER", "int": "INTEGER"}
        return kinds[_python_type(field).__name__]

    def convert(self, value: Any, _parameter: Any, _context: Any) -> Any:
        """Reads a word of the command line."""
        return self.read(value)

    def read(self, value: Any) -> Any:
        """Returns a value as the API takes it, from a word or from YAML."""
        from smokestack.client.kinds import is_map

        field = self._field
        if is_map(field):
            if "=" not in value:
                raise self._refused(value, "KEY=VALUE")
            return value
        if field.message_type is not None:
            return self._message(value)
        if field.enum_type is not None:
            word = str(value).upper().replace("-", "_")
            if word not in self._words():
                raise self._refused(value, f"one of {', '.join(self._words())}")
            return word
        return self._scalar(value)

    def _scalar(self, value: Any) -> Any:
        wanted = _python_type(self._field)
        if wanted is str:
            return str(value)
        if wanted is bool:
            word = str(value).lower()
            if word not in ("true", "false", "yes", "no"):
                raise self._refused(value, "true or false")
            return word in ("true", "yes")
        text = str(value)
        try:
            if wanted is float:
                return float(text)
            return _integer(self._field.name, text)
        except (ValueError, click.BadParameter):
            raise self._refused(value, self._what()) from None

    def _message(self, value: Any) -> Any:
        if isinstance(value, str):
            value = dict(part.partition("=")[::2] for part in value.split(","))
        known = self._field.message_type.fields_by_name
        if not isinstance(value, dict) or not set(value) <= set(known):
            raise self._refused(value, self._shape())
        return {key: _Field(known[key], f"{self._path}.{key}").read(v) for key, v in value.items()}

    def _what(self) -> str:
        return {
            "DURATION": "nanoseconds, or a number with a unit such as 250ms",
            "SIZE": "bytes, or a number with a unit such as 40GiB",
            "INTEGER": "a whole number",
            "NUMBER": "a number",
        }[self._shape()]

    def _words(self) -> list[str]:
        from smokestack.client.kinds import enum_words

        return enum_words(self._field.enum_type)

    def _refused(self, value: Any, right: str) -> click.UsageError:
        return click.UsageError(f"{self._path}: {value!r} is not {right}")


def _integer(name: str, text: str) -> int:
    if re.fullmatch(r"-?\d[\d_]*", text):
        return int(text)
    if name.endswith("_ns"):
        return duration(text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGTP]i?B?|B)", text, re.IGNORECASE)
    if match is None or not name.endswith("_bytes"):
        raise ValueError(text)
    unit = match[2][0].upper()
    size = Fraction(match[1]) * (1 if unit == "B" else _SIZES[f"{unit}iB"])
    if size.denominator != 1 or match[2].upper() in ("KB", "MB", "GB", "TB", "PB"):
        raise ValueError(text)
    return int(size)


def _python_type(field: Any) -> Callable[[str], Any]:
    names = {field.CPPTYPE_STRING: str, field.CPPTYPE_BOOL: bool}
    names |= {field.CPPTYPE_DOUBLE: float, field.CPPTYPE_FLOAT: float}
    found: Callable[[str], Any] = names.get(field.cpp_type, int)
    return found


def _read(file: Path) -> dict[str, Any]:
    import yaml

    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.UsageError(f"{file}: {error}") from None
    if not isinstance(fields, dict):
        raise click.UsageError(f"{file}: is no mapping of fields to values")
    return {str(name): value for name, value in fields.items()}


def _collection(resource: Any) -> Any:
    """Returns the SDK's collection class of a resource."""
    from smokestack.client.resources import Collection

    module = sys.modules[resource.__module__]
    for found in vars(module).values():
        is_one = inspect.isclass(found) and issubclass(found, Collection)
        if is_one and getattr(found, "resource", None) is resource:
            return found
    return None


def _message(kind: Kind) -> Any:
    return kind.rules.message


def _path(kind: Kind, field: str) -> str:
    return f"{kind.rules.snake}.{field}"
