"""What commands about resources share: the services of a running stack, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .connection import DEFAULT_ADDRESS, address_option, prepare
from .kinds import TOP, Kind, kind_of_form

if TYPE_CHECKING:
    from smokestack.client import Stack
    from smokestack.client.operations import Session

_F = TypeVar("_F", bound=Callable[..., Any])


def stack_option(function: _F) -> _F:
    """Adds the option that names a stack by the address of any of its services."""
    return address_option(
        default=[DEFAULT_ADDRESS],
        multiple=True,
        help="A service; those that it knows are found from there. May be repeated.",
    )(function)


class Estate:
    """The services of a stack by full name, and calls to them."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions

    @property
    def services(self) -> dict[str, str]:
        """Where each service is, by full name."""
        return {name: session.address for name, session in self._sessions.items()}

    @property
    def multipath(self) -> str:
        """Full name of the multipath layer, where short names of devices are looked for."""
        return next((n for n in self._sessions if n.startswith("multipaths/")), "multipaths/m1")

    def get(self, kind: Kind, name: str) -> Any:
        """Returns the message of one resource."""
        return self.call(kind, "Get", name, name=name)

    def all(self, kind: Kind, parent: str = "") -> Iterator[Any]:
        """Yields the messages of a kind: those below a parent, or all."""
        for above in [parent] if parent else self.parents(kind):
            if kind.form.count("/") == 1 and kind.form.partition("/")[0] in TOP:
                yield self.get(kind, above)
                continue
            token = ""
            below = {"parent": above} if kind.parent_form else {}
            while True:
                answer = self.call(kind, "List", above, plural="s", page_token=token, **below)
                yield from getattr(answer, kind.rules.plural)
                token = answer.next_page_token
                if not token:
                    break

    def parents(self, kind: Kind) -> list[str]:
        """Returns the full names below which resources of a kind may lie."""
        collection = kind.form.partition("/")[0]
        if not kind.parent_form:
            return self.top(collection)
        above = kind_of_form(kind.parent_form)
        if above is None or (above.form.partition("/")[0] in TOP and above.form.count("/") == 1):
            return self.top(collection)
        return [message.name for message in self.all(above)]

    def top(self, collection: str) -> list[str]:
        """Returns the services of a collection; of what is the hypervisor's, one empty name."""
        names = [name for name in self._sessions if name.startswith(f"{collection}/")]
        return sorted(names) if collection in TOP else [""]

    def resolve(self, kind: Kind, typed: str) -> str:
        """Returns the full name of an existing resource."""
        if kind.matches(typed) or self._is_complete(kind, typed):
            return self._completed(kind, typed)
        ends = typed.split("/")
        found = [m.name for m in self.all(kind) if m.name.split("/")[1::2][-len(ends) :] == ends]
        return self._only(kind, typed, found)

    def new(self, kind: Kind, typed: str) -> str:
        """Returns the full name of a resource that is to be created."""
        if kind.matches(typed) or self._is_complete(kind, typed):
            return self._completed(kind, typed)
        *above, last = typed.split("/")
        fitting = [
            parent
            for parent in self.parents(kind)
            if not above or parent.split("/")[1::2][-len(above) :] == above
        ]
        parent = self._only(kind_of_form(kind.parent_form) or kind, "/".join(above), fitting)
        collection = kind.form.split("/")[-2]
        return f"{parent}/{collection}/{last}"

    def call(self, kind: Kind, verb: str, where: str, *, plural: str = "", **fields: Any) -> Any:
        """Calls a method of a kind at the service that has a name."""
        from smokestack.client.operations import Call, as_it_is

        api = kind.rules
        request = api.request(verb, plural, **fields)
        return self.session(where).run(Call(api.rpc(verb, plural), request, as_it_is))

    def act(self, kind: Kind, verb: str, typed: str, **fields: Any) -> Any:
        """Calls a method of an existing resource, and returns its answer."""
        name = self.resolve(kind, typed)
        return self.call(kind, verb, name, name=name, **fields)

    def session(self, name: str) -> Session:
        """Returns the session with the service that a full name belongs to."""
        collection = name.partition("/")[0]
        wanted = "/".join(name.split("/")[:2]) if collection in TOP else "hypervisors/"
        for service, session in self._sessions.items():
            if service == wanted or (wanted == "hypervisors/" and service.startswith(wanted)):
                return session
        known = ", ".join(f"{service} at {place}" for service, place in self.services.items())
        what = "hypervisor" if wanted == "hypervisors/" else wanted
        raise click.ClickException(f"no {what} is known here, but {known}: name its --address too")

    @staticmethod
    def _is_complete(kind: Kind, typed: str) -> bool:
        parts = typed.split("/")
        return all(parts) and len(parts) == kind.form.count("*")

    @staticmethod
    def _completed(kind: Kind, typed: str) -> str:
        return typed if kind.matches(typed) else kind.full(typed.split("/"))

    @staticmethod
    def _only(kind: Kind, typed: str, found: list[str]) -> str:
        if len(found) == 1:
            return found[0]
        what = f"{kind.word} {typed}".strip()
        if not found:
            raise click.UsageError(f"no {what} exists")
        shown = ", ".join(found[:4]) + (", …" if len(found) > 4 else "")
        raise click.UsageError(f"which {what}? There are {len(found)}: {shown}")


@contextmanager
def stack_at(addresses: tuple[str, ...]) -> Iterator[Stack]:
    """Yields the SDK's client of the stack that services at these addresses belong to."""
    prepare()
    from smokestack.client import Patience, connect, errors

    try:
        stack = connect(addresses, Patience(attempts=1))
    except errors.Unavailable as error:
        raise click.ClickException(
            f"{error}: start a stack with `smokestack up`, or name another --address"
        ) from None
    with stack:
        yield stack


@contextmanager
def estate_at(addresses: tuple[str, ...]) -> Iterator[Estate]:
    """Yields the stack that services at these addresses belong to."""
    with stack_at(addresses) as stack:
        yield Estate(stack.sessions)
