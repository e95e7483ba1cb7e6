"""Reads a stack from a YAML file, or refuses it naming each wrong place and what would be right.

A file is the YAML form of the Scenario message: names and enum values are short, and what a service
reports (its output-only fields) cannot be set.  Whether values are in range is left to the services
that the stack is built through; here everything fits the message and every name leads somewhere.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from smokestack.engine.errors import InvalidArgument, Violation
from smokestack.v1 import scenario_pb2 as pb

from .references import check_references
from .strict_yaml import YamlError, load_yaml

FILE_BYTES_MAX: Final = 16 << 20
_SHOWN_MAX: Final = 5  # violations in the message; the exception has them all

# What services report and nobody sets; a test compares this with the comments in the protos.
OUTPUT_ONLY: Final[Mapping[str, frozenset[str]]] = {
    "ArrayHost": frozenset({"refused_count"}),
    "Controller": frozenset(
        {
            *("state", "dirty_bytes", "write_through", "forced_write_count", "busy_ns"),
            *("read_hit_count", "read_miss_count", "read_cached_bytes", "read_eviction_count"),
            "cache_flush_count",
        }
    ),
    "Multipath": frozenset({"arrays"}),
    "Port": frozenset(
        {
            "outstanding_count",
            "link_up",
            "command_count",
            "task_set_full_count",
            "busy_count",
            "dropped_count",
            "aborted_count",
            "rx_bytes",
            "tx_bytes",
            "carrier",
        }
    ),
    "Pool": frozenset(
        {
            *("allocated_bytes", "subscribed_bytes", "allocation_failure_count", "snapshot_bytes"),
            *(
                "state",
                "reserved_bytes",
                "unwritten_bytes",
                "grown_bytes",
                "free_bytes",
                "growth_count",
            ),
            *("step_count", "warning_count", "media_busy_ns", "redundancy_bytes"),
        }
    ),
    "Volume": frozenset(
        {
            *("allocated_bytes", "identifier", "mean_response_ns", "response_count", "state"),
            *("owner", "in_transition", "reserved_bytes", "unmap_count", "unmapped_bytes"),
            "unwritten_bytes",
            *("write_same_count", "zero_write_count", "zero_bytes"),
            *("copy_count", "copied_bytes", "compare_and_write_count", "miscompare_count"),
        }
    ),
    "Disk": frozenset({"guest_queued_count"}),
    "Export": frozenset({"host_set"}),
    "DriveGroup": frozenset({"raw_bytes", "raw_free_bytes"}),
    "FaultRule": frozenset({"state", "hit_count", "begin_ns", "end_ns"}),
    "Job": frozenset({"state", "issued_count", "completed_count", "error_count", "backlog_count"}),
}
_UNITS: Final[Mapping[str, Mapping[str, int]]] = {
    "_bytes": {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50},
    "_ns": {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9},
}
_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
}


class ScenarioError(InvalidArgument):
    """A scenario that cannot be built; each violation's field is a path in the file."""

    @classmethod
    def of(cls, violations: Sequence[Violation]) -> ScenarioError:
        """Returns the error that shows these violations."""
        shown = [f"{v.field}: {v.description}" if v.field else v.description for v in violations]
        more = f"; and {len(shown) - _SHOWN_MAX} more" if len(shown) > _SHOWN_MAX else ""
        return cls("; ".join(shown[:_SHOWN_MAX]) + more, violations=violations)


def default_scenario() -> pb.Scenario:
    """Returns the stack that commands use when none is named."""
    return parse_scenario(default_scenario_text())


def default_scenario_text() -> str:
    """Returns the default stack's file, comments and all: a start for a file of one's own."""
    file = resources.files(__package__).joinpath("scenarios", "default.yaml")
    return file.read_text(encoding="utf-8")


def load_scenario(path: str | Path) -> pb.Scenario:
    """Reads a scenario file; trace files are found beside it."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ScenarioError(f"{path}: {len(data)} bytes are more than the {FILE_BYTES_MAX} allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: byte {error.start} is not UTF-8 text") from None
    return parse_scenario(text, path.parent)


def parse_scenario(text: str, base: Path = Path()) -> pb.Scenario:
    """Turns a scenario's text into its message; trace files are relative to ``base``."""
    try:
        tree = load_yaml(text)
    except YamlError as error:
        raise ScenarioError(str(error)) from None
    reader = _Reader()
    scenario = pb.Scenario()
    reader.read(scenario, {} if tree is None else tree, "")
    if not reader.violations:
        check_references(scenario, reader.violations)
    if reader.violations:
        raise ScenarioError.of(reader.violations)
    for trace in scenario.traces:
        if trace.file:
            trace.file = str(base / trace.file)
    return scenario


class _Reader:
    """Fills messages from YAML and notes what does not fit, with its path."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def read(self, message: Message, value: object, path: str) -> None:
        """Fills a message from a mapping."""
        descriptor: Any = message.DESCRIPTOR
        if not isinstance(value, dict):
            fields = ", ".join(_settable(descriptor)[:4])
            self._note(path, f"{_shown(value)} is not a mapping of fields such as {fields}")
            return
        for key, item in value.items():
            place = f"{path}.{key}" if path else str(key)
            field = descriptor.fields_by_name.get(key) if isinstance(key, str) else None
            if field is None:
                self._note(place, _unknown(descriptor, str(key)))
            elif field.name in OUTPUT_ONLY.get(descriptor.name, ()):
                self._note(place, "is reported, not set: leave it out")
            elif field.message_type is not None and field.message_type.GetOptions().map_entry:
                self._read_map(getattr(message, field.name), item, place)
            elif _is_repeated(field):
                self._read_list(message, field, item, place)
            elif field.message_type is not None:
                self.read(getattr(message, field.name), item, place)
            else:
                scalar = self._scalar(field, item, place)
                if scalar is not None:
                    setattr(message, field.name, scalar)

    def _read_map(self, into: Any, value: object, path: str) -> None:
        if not isinstance(value, dict):
            self._note(path, f"{_shown(value)} is not a mapping of keys to texts")
            return
        for key, item in value.items():
            if isinstance(key, str) and isinstance(item, str):
                into[key] = item
            else:
                self._note(f"{path}.{key}", f"{_shown(item)} is not text: put it in quotes")

    def _read_list(self, message: Message, field: FieldDescriptor, value: Any, path: str) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            self._note(path, f"{_shown(value)} is not a list: begin each entry with '- '")
            return
        into = getattr(message, field.name)
        for index, item in enumerate(value):
            place = f"{path}[{index}]"
            if field.message_type is not None:
                self.read(into.add(), item, place)
            else:
                scalar = self._scalar(field, item, place)
                if scalar is not None:
                    into.append(scalar)

    def _scalar(self, field: FieldDescriptor, value: object, path: str) -> Any:
        """Returns the value that a field takes, or None and a note."""
        if value is None:
            return self._note(path, "is empty: give a value, or leave the field out")
        if field.enum_type is not None:
            return self._enum(field.enum_type, value, path)
        if field.cpp_type in _INTEGERS:
            return self._integer(field, value, path)
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            if isinstance(value, bool):
                return value
            return self._note(path, f"{_shown(value)} is neither true nor false")
        if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if is_number and math.isfinite(value):  # type: ignore[arg-type]
                return float(value)  # type: ignore[arg-type]
            return self._note(path, f"{_shown(value)} is not a number")
        if isinstance(value, str):
            return value
        return self._note(path, f"{_shown(value)} is not text: put it in quotes")

    def _integer(self, field: FieldDescriptor, value: object, path: str) -> Any:
        suffix = next((s for s in _UNITS if field.name.endswith(s)), "")
        if isinstance(value, str) and suffix:
            units = _UNITS[suffix]
            match = re.fullmatch(rf"(\d+) ?({'|'.join(units)})", value)
            if match is None:
                right = f"a whole number, alone or with one of {', '.join(units)}"
                return self._note(path, f"{value!r} is not {right}")
            value = int(match[1]) * units[match[2]]
        low, high = _INTEGERS[field.cpp_type]
        if not isinstance(value, int) or isinstance(value, bool):
            return self._note(path, f"{_shown(value)} is not a whole number")
        if not low <= value <= high:
            return self._note(path, f"{value} is not within {low} to {high}")
        return value

    def _enum(self, enum: EnumDescriptor, value: object, path: str) -> Any:
        prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
        choices = {v.name.removeprefix(prefix): v.number for v in enum.values if v.number}
        if isinstance(value, str) and value in choices:
            return choices[value]
        return self._note(path, f"{_shown(value)} is none of {', '.join(choices)}")

    def _note(self, path: str, description: str) -> Any:
        """Notes a violation and returns None, which stands for the value that is not there."""
        self.violations.append(Violation(path, description))


def _is_repeated(field: FieldDescriptor) -> bool:
    """Tells lists from the rest with every protobuf: the newest warns of the older way."""
    described: Any = field
    if hasattr(described, "is_repeated"):
        return bool(described.is_repeated)
    return bool(described.label == FieldDescriptor.LABEL_REPEATED)


def _settable(descriptor: Descriptor) -> list[str]:
    """Returns the fields that a file may set."""
    hidden = OUTPUT_ONLY.get(descriptor.name, frozenset())
    return [f.name for f in descriptor.fields if f.name not in hidden]


def _unknown(descriptor: Descriptor, key: str) -> str:
    fields = _settable(descriptor)
    close = difflib.get_close_matches(key, fields, n=1)
    help_ = f"did you mean {close[0]}?" if close else f"use {', '.join(fields)}"
    what = descriptor.name.removeprefix("Scenario").lower() or "scenario"
    return f"is no field of {'an' if what[0] in 'aeiou' else 'a'} {what}: {help_}"


def _shown(value: object) -> str:
    """Returns a value as a person would recognise it, cut short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
