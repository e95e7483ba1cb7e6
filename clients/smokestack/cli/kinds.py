"""Kinds of resources as the command line calls them, and names as people type them.

A name is a full one, or its identifiers from the right as far as they are unambiguous: `v1` or
`a1/v1` for arrays/a1/volumes/v1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True)
class Kind:
    """One kind: what it is called, and the form of its full names."""

    word: str  # singular, as typed
    form: str  # a full name, with * for each identifier
    api: str  # the name of its class in the SDK

    @property
    def plural(self) -> str:
        """The word for several of them."""
        return f"{self.word}s"

    @property
    def parent_form(self) -> str:
        """The form of what it lies below; empty for the top."""
        return self.form.rpartition("/")[0].rpartition("/")[0]

    @property
    def is_joint(self) -> bool:
        """Whether its name is made of those that it joins, and not given."""
        return self.api in ("Export", "SetExport")

    def resource(self) -> Any:
        """Returns its class in the SDK."""
        import smokestack.client

        return getattr(smokestack.client, self.api)

    @property
    def rules(self) -> Any:
        """What the SDK says of the kind: its messages, methods and references."""
        return self.resource().of_kind

    def matches(self, name: str) -> bool:
        """Whether this is a full name of the kind."""
        return _matches(self.form, name)

    def full(self, identifiers: Iterable[str]) -> str:
        """Returns the full name that these identifiers make."""
        given = iter(identifiers)
        return "/".join(next(given) if part == "*" else part for part in self.form.split("/"))


KINDS = (
    Kind("array", "arrays/*", "Array"),
    Kind("controller", "arrays/*/controllers/*", "Controller"),
    Kind("port", "arrays/*/ports/*", "Port"),
    Kind("drive-group", "arrays/*/driveGroups/*", "DriveGroup"),
    Kind("pool", "arrays/*/pools/*", "Pool"),
    Kind("volume", "arrays/*/volumes/*", "Volume"),
    Kind("volume-snapshot", "arrays/*/snapshots/*", "VolumeSnapshot"),
    Kind("array-host", "arrays/*/hosts/*", "ArrayHost"),
    Kind("export", "arrays/*/exports/*", "Export"),
    Kind("host-set", "arrays/*/hostSets/*", "HostSet"),
    Kind("port-set", "arrays/*/portSets/*", "PortSet"),
    Kind("set-export", "arrays/*/setExports/*", "SetExport"),
    Kind("multipath", "multipaths/*", "Multipath"),
    Kind("multipath-host", "multipaths/*/hosts/*", "MultipathHost"),
    Kind("device", "multipaths/*/hosts/*/devices/*", "Device"),
    Kind("adapter", "multipaths/*/hosts/*/adapters/*", "Adapter"),
    Kind("path", "multipaths/*/hosts/*/devices/*/paths/*", "Path"),
    Kind("fabric", "multipaths/*/fabrics/*", "Fabric"),
    Kind("link", "multipaths/*/fabrics/*/links/*", "FabricLink"),
    Kind("host", "hosts/*", "Host"),
    Kind("vm", "hosts/*/vms/*", "Vm"),
    Kind("disk", "hosts/*/vms/*/disks/*", "Disk"),
    Kind("job", "hosts/*/vms/*/jobs/*", "Job"),
    Kind("trace", "traces/*", "Trace"),
)
TOP = ("arrays", "multipaths")  # services: their addresses tell which there are


def kind_of(word: str) -> Kind:
    """Returns the kind of a word, singular or plural, or of a full name."""
    for kind in KINDS:
        if word.lower() in (kind.word, kind.plural) or kind.matches(word):
            return kind
    known = ", ".join(kind.word for kind in KINDS)
    raise click.UsageError(f"{word!r} is no kind of resource, nor a full name of one: {known}")


def kind_of_form(form: str) -> Kind | None:
    """Returns the kind whose full names have a form."""
    return next((kind for kind in KINDS if kind.form == form), None)


def kind_and_name(words: tuple[str, ...]) -> tuple[Kind, str]:
    """Returns what `KIND NAME`, or a full name alone, stands for."""
    if len(words) == 1 and "/" not in words[0]:
        raise click.UsageError(f"which {kind_of(words[0]).word}? Name it")
    if len(words) > 2:
        raise click.UsageError(f"{words[2]!r} is too much: KIND NAME, or a full name")
    return kind_of(words[0]), words[-1]


def complete_kind(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Completes the first word of a command that takes `KIND NAME`."""
    words = context.params.get("words") or ()
    return [] if words else [kind.word for kind in KINDS if kind.word.startswith(typed)]


def _matches(form: str, name: str) -> bool:
    parts, given = form.split("/"), name.split("/")
    return len(parts) == len(given) and all(
        (part == "*" and word) or part == word for part, word in zip(parts, given, strict=True)
    )
