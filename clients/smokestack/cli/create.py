"""`smokestack create` and `update`: a subcommand for each kind, with an option for each field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .connection import prepare
from .estate import Estate, estate_at, stack_option
from .groups import Group
from .kinds import KINDS, Kind, kind_of, kind_of_form
from .show import output_option, show_one


class Kinds(Group):
    """Makes the subcommand of a kind when it is asked for; a full name is one as well."""

    verb = "create"

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the kinds that the verb goes with."""
        prepare()
        return [kind.word for kind in KINDS if self._fits(kind)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Makes the subcommand of a kind, or of the full name of one."""
        prepare()
        kind = kind_of(cmd_name)
        if not self._fits(kind):
            known = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"{kind.plural} cannot be {self.verb}d, but: {known}")
        return _command(kind, self.verb, cmd_name if kind.matches(cmd_name) else "")

    def _fits(self, kind: Kind) -> bool:
        from .fields import settable

        api = kind.rules
        has = hasattr(api.api, f"{self.verb.capitalize()}{api.word}Request")
        return has and bool(self.verb == "create" or settable(kind, self.verb))


class UpdatedKinds(Kinds):
    """The same, for changes."""

    verb = "update"


@click.group(cls=Kinds)
def create() -> None:
    """Create a resource: `create volume v9 --pool p1 --capacity-bytes 40GiB`.

    A short name will do where it is clear what it lies below. `create KIND --help` shows a kind's
    fields, each an option; `-f FILE` reads them from YAML. Sizes and durations may have a unit.
    """


@click.group(cls=UpdatedKinds)
def update() -> None:
    """Change a resource: `update port p0 --enabled false`.

    `update KIND --help` shows what can be changed.
    """


def _command(kind: Kind, verb: str, name: str) -> click.Command:
    from .fields import options

    def run(*, address: tuple[str, ...], output: str, file: Path | None, **given: Any) -> None:
        typed = name or given.pop("name", "")
        with estate_at(address) as estate:
            done = {"create": _create, "update": _update}[verb](estate, kind, typed, file, given)
            show_one(kind, done, output)

    named = [] if name else [click.Argument(["name"], required=not kind.is_joint, default="")]
    command = click.Command(
        name or kind.word,
        params=[*named, *options(kind, verb)],
        callback=run,
        help=f"{verb.capitalize()} {'an' if kind.word[0] in 'ae' else 'a'} {kind.word}.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    return stack_option(output_option(command))


def _create(
    estate: Estate, kind: Kind, typed: str, file: Path | None, options: dict[str, Any]
) -> Any:
    from .fields import encoded, given

    fields = given(kind, "create", options, file)
    api = kind.rules
    above = kind_of_form(kind.parent_form)
    if kind.is_joint:
        parent = typed or estate.new(kind, "new").rpartition("/")[0].rpartition("/")[0]
        identifier: dict[str, str] = {}
    else:
        full = estate.new(kind, typed)
        parent = full.rpartition("/")[0].rpartition("/")[0]
        identifier = {f"{api.snake}_id": full.rpartition("/")[2]}
    below = {"parent": parent} if above else {}
    message = encoded(kind, fields, _scope(estate, parent))
    where = parent or kind.form
    return estate.call(kind, "Create", where, **below, **identifier, **{api.snake: message})


def _update(
    estate: Estate, kind: Kind, typed: str, file: Path | None, options: dict[str, Any]
) -> Any:
    from google.protobuf.field_mask_pb2 import FieldMask

    from .fields import encoded, given

    fields = given(kind, "update", options, file)
    if not fields:
        raise click.UsageError("nothing to change: name a field")
    name = estate.resolve(kind, typed)
    parent = name.rpartition("/")[0].rpartition("/")[0]
    message = encoded(kind, fields, {**_scope(estate, parent), "name": name})
    message.name = name
    mask = FieldMask(paths=list(fields))
    changed = {kind.rules.snake: message, "update_mask": mask}
    return estate.call(kind, "Update", name, **changed)


def _scope(estate: Estate, parent: str) -> dict[str, str]:
    """Returns what short names in fields are completed with."""
    host = "/".join(parent.split("/")[:2])
    return {"parent": parent, "name": "", "host": host, "multipath": estate.multipath}
