"""What stands in the protos' comments, which the generated code does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.house import tree

DECLARATION = re.compile(
    r" *(?:syntax|(?:message|enum|service|oneof|rpc) (?P<name>\w+)"
    r"|(?:optional |repeated )?(?:[\w.]+|map<\w+, \w+>) (?P<field>\w+) = \d+;"
    r"|(?P<value>[A-Z][A-Z0-9_]+) = \d+;)"
)
PROTOS = tree.with_suffix(".proto")


class Element(NamedTuple):
    """One thing that a proto declares, and the comment above it."""

    where: str
    name: str
    comment: str


def elements(path: Path) -> Iterator[Element]:
    comment: list[str] = []
    for number, line in enumerate(tree.text(path).splitlines(), start=1):
        if line.strip().startswith("//"):
            comment.append(line.strip().removeprefix("//").removeprefix(" "))
            continue
        found = DECLARATION.match(line)
        if found:
            name = found["name"] or found["field"] or found["value"] or path.name
            yield Element(f"{path}:{number}: {name}", name, "\n".join(comment))
        comment = []


def package(path: Path) -> str:
    """`protos/smokestack/v1/array.proto` is of the Python package `smokestack.v1`."""
    return ".".join(path.parent.parts[1:])
