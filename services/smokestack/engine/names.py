"""Full resource names: taken apart at the border, refused when they do not have the right form."""

from __future__ import annotations

import re

from .errors import InvalidArgument


class NameForm:
    """The form of one kind of full name, given by an example such as ``arrays/a1/ports/p0``.

    Every second part of a name is an identifier.  Whether it names something that exists is the
    model's to say; here only the form is checked.
    """

    def __init__(self, example: str) -> None:
        self.example = example
        collections = example.split("/")[::2]
        self._parsed = re.compile("/".join(f"{name}/([^/]+)" for name in collections)).fullmatch
        self._formatted = "/".join(f"{name}/%s" for name in collections)

    def parse(self, name: str, field: str = "name") -> tuple[str, ...]:
        """Returns the identifiers of a name, or refuses it as the value of ``field``."""
        parsed = self._parsed(name)
        if parsed is None:
            raise InvalidArgument.at(
                field, f"{name!r} does not have the form of a full name such as {self.example!r}"
            )
        return parsed.groups()

    def format(self, *identifiers: str) -> str:
        """Returns the full name that these identifiers make."""
        return self._formatted % identifiers
