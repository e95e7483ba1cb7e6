"""Full resource names: taken apart at the border, refused when they do not have the right form."""

from __future__ import annotations

from .errors import InvalidArgument


class NameForm:
    """The form of one kind of full name, given by an example such as ``arrays/a1/ports/p0``.

    Every second part of a name is an identifier.  Whether it names something that exists is the
    model's to say; here only the form is checked.
    """

    def __init__(self, example: str) -> None:
        self.example = example
        self._collections = example.split("/")[::2]

    def parse(self, name: str, field: str = "name") -> tuple[str, ...]:
        """Returns the identifiers of a name, or refuses it as the value of ``field``."""
        parts = name.split("/")
        fits = parts[::2] == self._collections and len(parts) == 2 * len(self._collections)
        if not fits or not all(parts[1::2]):
            raise InvalidArgument.at(
                field, f"{name!r} does not have the form of a full name such as {self.example!r}"
            )
        return tuple(parts[1::2])

    def format(self, *identifiers: str) -> str:
        """Returns the full name that these identifiers make."""
        pairs = zip(self._collections, identifiers, strict=True)
        return "/".join(part for pair in pairs for part in pair)
