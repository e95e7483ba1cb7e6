"""The source tree as the house tests see it: what is, or would be, committed."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = ("protos", "services", "clients")


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file of the tree that is not ignored, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = {Path(name) for name in listing.split("\0") if name}
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


def with_suffix(*suffixes: str) -> list[Path]:
    return [path for path in files() if path.suffix in suffixes]


def text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(text(path), filename=str(path))


def python_sources() -> list[Path]:
    """Python of the three source roots."""
    return [
        path
        for path in with_suffix(".py")
        if path.parts[0] in SOURCE_ROOTS and path.parts[1] == "smokestack"
    ]


def room_of(path: Path) -> str:
    """`services/smokestack/array/model.py` belongs to `array`."""
    return path.parts[2]


@dataclass(frozen=True)
class Import:
    """One imported module, by its absolute name."""

    module: str
    line: int
    at_top: bool


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, wherever it stands; those for the type checker are not at the top."""
    tree = parsed(path)
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(node):
            inside.update(ast.walk(node))
    package = ".".join(path.parts[1:-1])
    for node in ast.walk(tree):
        at_top = node not in inside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_top)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, at_top)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
