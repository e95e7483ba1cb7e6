"""The house rules that no linter knows, as tests of the source tree itself."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import tree

TOP_FOLDERS = {"protos", "services", "clients", "tests", "docker", "grafana"}
TOP_FILES = {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml"}

LINE_COLUMNS_MAX = 100
PYTHON_FILE_LINES_MAX = 600
PYTHON_FUNCTION_LINES_MAX = 80
C_FILE_LINES_MAX = 800
C_FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 512 * 1024

CODE = (".py", ".pyi", ".c", ".h", ".proto")
# Written apart, so that this file may pass its own test.
BANNED = {
    "TO" + "DO": "finish it, or write an issue",
    "FIX" + "ME": "fix it, or write an issue",
    "X" + "XX": "say what is wrong, or mend it",
    "py" + "pi.org": "package managers know their registry",
    "python" + "hosted.org": "package managers know their registry",
    "registry.npm" + "js": "package managers know their registry",
    "deb.de" + "bian.org": "package managers know their registry",
    "/wo" + "rk/": "paths of one machine do not belong in the tree",
}
# In kernels: what it would break → its replacement stands in the text.
BANNED_C = {
    r"\b([mc]alloc|realloc|free)\s*\(": "kernels work in memory they are given",
    r"#include\s*<(math|time|stdlib|stdio)\.h>": "libm, clocks and I/O differ between machines",
    r"\b(float|double)\b": "integer arithmetic only: the same bits on every machine",
    r"\b(rand|random|clock_gettime|gettimeofday|printf)\s*\(": "draw from philox.h; time is given",
}


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Every Python function of a file: its name, first line and length in lines."""
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def c_functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Every C function of a file, by the house's layout: its end is a brace in column one."""
    first = None
    for number, line in enumerate(tree.text(path).splitlines(), start=1):
        if first is None and re.match(r"[A-Za-z_].*\(", line) and not line.endswith(";"):
            first = (line.split("(")[0].split()[-1].lstrip("*"), number)
        elif first is not None and line.startswith("}"):
            yield first[0], first[1], number - first[1] + 1
            first = None
        elif first is not None and line.endswith(";") and not line.startswith((" ", "\t")):
            first = None


def test_the_top_level_holds_only_what_the_house_knows() -> None:
    folders = {path.parts[0] for path in tree.files() if len(path.parts) > 1}
    loose = {path.name for path in tree.files() if len(path.parts) == 1}
    assert {name for name in folders if not name.startswith(".")} <= TOP_FOLDERS
    assert {name for name in loose if not name.startswith(".")} == TOP_FILES


@pytest.mark.parametrize("folder", sorted(TOP_FOLDERS))
def test_every_top_folder_says_what_it_is(folder: str) -> None:
    readme = tree.ROOT / folder / "README.md"
    assert readme.is_file(), f"{folder}/ needs a README.md"
    assert readme.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("root", tree.SOURCE_ROOTS)
def test_the_namespace_belongs_to_no_root(root: str) -> None:
    assert not (tree.ROOT / root / "__init__.py").exists()
    assert not (tree.ROOT / root / "smokestack" / "__init__.py").exists()


def test_every_room_is_a_typed_package_in_one_root() -> None:
    rooms: dict[str, str] = {}
    for path in tree.python_sources():
        root, room = path.parts[0], tree.room_of(path)
        assert rooms.setdefault(room, root) == root, f"{room} stands in two roots"
    for room, root in rooms.items():
        for marker in ("__init__.py", "py.typed"):
            assert (tree.ROOT / root / "smokestack" / room / marker).is_file(), (room, marker)


def test_nothing_generated_is_committed() -> None:
    made = [path for path in tree.files() if re.search(r"_pb2|\.so$|\.o$|\.pyc$", path.name)]
    assert not made


@pytest.mark.parametrize("path", tree.with_suffix(".py", ".pyi"), ids=str)
def test_python_keeps_its_measure(path: Path) -> None:
    assert len(tree.text(path).splitlines()) <= PYTHON_FILE_LINES_MAX
    long = [found for found in functions(path) if found[2] > PYTHON_FUNCTION_LINES_MAX]
    assert not long, f"{path}: (name, line, lines) over {PYTHON_FUNCTION_LINES_MAX}"


@pytest.mark.parametrize("path", tree.with_suffix(".c", ".h"), ids=str)
def test_c_keeps_its_measure(path: Path) -> None:
    text = tree.text(path)
    assert len(text.splitlines()) <= C_FILE_LINES_MAX
    if "generated" in text[:400].lower():
        return
    long = [found for found in c_functions(path) if found[2] > C_FUNCTION_LINES_MAX]
    assert not long, f"{path}: (name, line, lines) over {C_FUNCTION_LINES_MAX}"


@pytest.mark.parametrize("path", tree.with_suffix(".c", ".h"), ids=str)
def test_kernels_use_only_what_repeats_bit_for_bit(path: Path) -> None:
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", tree.text(path), flags=re.DOTALL)
    for pattern, why in BANNED_C.items():
        assert not re.findall(pattern, code), f"{path}: {why}"
    if path.name != "_core.c":  # which sets up a benchmark's memory once a call
        assert "PyMem_" not in code, f"{path}: kernels work in memory they are given"


def test_the_build_knows_every_extension() -> None:
    hook = tree.text(Path(".build/hook.py"))
    sources = [path for path in tree.with_suffix(".c") if "PyInit_" in tree.text(path)]
    assert sources
    for path in sources:
        assert f'"{path.as_posix()}"' in hook, f"{path} is not in .build/hook.py"
        assert (tree.ROOT / path.with_suffix(".pyi")).is_file(), f"{path} needs its .pyi"


@pytest.mark.parametrize("path", tree.with_suffix(*CODE), ids=str)
def test_lines_fit(path: Path) -> None:
    for number, line in enumerate(tree.text(path).splitlines(), start=1):
        assert len(line) <= LINE_COLUMNS_MAX, f"{path}:{number}: {len(line)} columns"
        assert line == line.rstrip(), f"{path}:{number}: space at the end of the line"


@pytest.mark.parametrize("path", tree.python_sources(), ids=str)
def test_every_module_says_what_it_does(path: Path) -> None:
    if tree.text(path).strip():
        assert ast.get_docstring(tree.parsed(path)), f"{path} has no docstring"


def test_no_file_says_what_does_not_belong() -> None:
    for path in tree.files():
        raw = (tree.ROOT / path).read_bytes()
        assert len(raw) <= FILE_BYTES_MAX, f"{path} is {len(raw)} bytes"
        for banned, instead in BANNED.items():
            at = raw.find(banned.encode())
            line = raw.count(b"\n", 0, max(at, 0)) + 1
            assert at < 0, f"{path}:{line}: {banned!r}: {instead}"


def test_the_changelog_keeps_its_shape() -> None:
    entries = re.findall(r"(?m)^- .*", tree.text(Path("CHANGELOG.md")))
    assert entries
    kinds = "NEW|CHANGE|FIX|BREAKING|DOCS"
    for entry in entries:
        assert re.match(rf"- \[({kinds})\] [a-z, ]+: [A-Z`]", entry), entry


def test_ci_runs_the_readme_command_for_tests() -> None:
    [command] = re.findall(r"(?m)^.*-m pytest .*$", tree.text(Path("README.md")))
    assert command in tree.text(Path(".ci/run"))


def test_ci_tests_the_oldest_versions_that_users_may_have() -> None:
    project = tomllib.loads(tree.text(Path("pyproject.toml")))["project"]
    floor = {need.replace(">=", "==") for need in project["dependencies"]}
    tested = {line for line in tree.text(Path(".ci/floor.txt")).splitlines() if line[:1] != "#"}
    assert tested == floor
