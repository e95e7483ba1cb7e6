"""Where a scenario comes from: a file, a text, or nothing, which is the default stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A scenario as YAML; equal sources are served by one server."""

    text: str = ""  # empty: the default stack's
    base: Path = Path()  # where its trace files are found
    path: Path | None = None  # the file that it was read from

    @classmethod
    def of(cls, scenario: str | Path | None, *folders: Path) -> Source:
        """Returns a text of several lines as it is; anything else is a file in the first folder.

        FileNotFoundError names what was looked for.
        """
        if not scenario:
            return cls()
        first = folders[0] if folders else Path()
        if isinstance(scenario, str) and "\n" in scenario:
            return cls(scenario, first)
        tried = [(folder / scenario).resolve() for folder in folders or (first,)]
        for path in tried:
            if path.is_file():
                return cls(path.read_text(encoding="utf-8"), path.parent, path)
        raise FileNotFoundError(f"no scenario file {' or '.join(map(str, tried))}")

    def __str__(self) -> str:
        if self.path:
            return str(self.path)
        return "a scenario given as text" if self.text else "the default scenario"
