"""A state directory that is damaged, newer, another's or held: refused in one line, untouched."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from smokestack.engine import tables_copy
from smokestack.engine.errors import FailedPrecondition
from smokestack.server.recovery import kept_in
from smokestack.server.rooms import array_room
from smokestack.server.state_directory import StateDirectory
from tests.array.test_array import attach
from tests.server.durable_array import build, create_volume, kept_array, observed, settled, write

_CHANGES = ("lock", "journal.db-shm")  # what holding and reading a directory writes


def contents(path: Path) -> dict[str, bytes]:
    found = {file.name: file.read_bytes() for file in path.iterdir() if file.name not in _CHANGES}
    return {name: data for name, data in found.items() if data or name != "journal.db-wal"}


def refusal(path: Path, array_id: str = "a1") -> str:
    """Returns the one line that refuses a directory, and asserts that nothing in it changed."""
    before = contents(path) if path.is_dir() else path.read_bytes()
    with pytest.raises(FailedPrecondition) as caught, kept_in(array_room(array_id), path):
        pass
    assert "\n" not in caught.value.message
    assert str(path) in caught.value.message
    assert (contents(path) if path.is_dir() else path.read_bytes()) == before
    return caught.value.message


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory of an array that stopped in order."""
    with kept_array(tmp_path / "state") as room:
        build(room)
    return tmp_path / "state"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A directory as a crash left it, and what was in it."""
    path = tmp_path_factory.mktemp("crashed") / "state"
    with kept_array(path) as room:
        build(room)
        for number in range(20):
            create_volume(room, f"x{number}")
        with room.border.change():
            attach(room.model)
        write(room, first=0, count=50)
        for number in range(20, 40):
            create_volume(room, f"x{number}")
        settled(room)
        expected = observed(room)
        shutil.copytree(path, path.parent / "crashed")
    return path.parent / "crashed", expected


def test_another_services_directory_is_refused(state: Path) -> None:
    assert "is of arrays/a1, not of arrays/a2" in refusal(state, "a2")


def test_a_newer_one_is_refused(state: Path) -> None:
    with closing(sqlite3.connect(state / "journal.db")) as db:
        db.execute("PRAGMA user_version = 2")
    assert "has format 2, this version reads 1: use the version that wrote it" in refusal(state)


def test_one_of_another_table_layout_is_refused_and_says_what_would_be_right(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tables_copy._layout
    monkeypatch.setattr(tables_copy, "_layout", lambda dtype: known(dtype).replace("room", "rum"))
    told = refusal(state)
    assert "is of another version of smokestack: checkpoint-" in told
    assert "has another layout of its table" in told
    assert told.endswith("serve it with the version that wrote it, or give an empty directory")


def test_another_programs_database_is_refused(state: Path) -> None:
    (state / "journal.db").unlink()
    with closing(sqlite3.connect(state / "journal.db")) as db:
        db.execute("CREATE TABLE theirs (x)")
    assert "of another program" in refusal(state)


def test_a_folder_of_somebody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "holds 'thesis.tex' and no journal.db" in refusal(tmp_path)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot be used: file exists" in refusal(tmp_path / "file")


def test_one_that_is_held_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    with kept_array(tmp_path / "state") as room:
        assert f"is held by process {os.getpid()}: end it" in refusal(tmp_path / "state")
        build(room)
    with kept_array(tmp_path / "state"):
        pass


def test_one_whose_first_start_was_interrupted_is_begun_anew(tmp_path: Path, state: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "journal.new").write_bytes(b"half a file")
    (begun / "checkpoint-0.new").write_bytes(b"half a file")
    (begun / "lock").write_bytes(b"")
    with kept_array(begun) as room:
        assert not room.model.pools


def test_a_checkpoint_that_is_not_named_yet_stays_until_it_is(state: Path) -> None:
    directory = StateDirectory(state, "arrays/a1")
    try:
        journal = directory.open()
        for number in (100, 101):
            directory.write_checkpoint(number, b"as if")
        journal.move("checkpoint-100", 0, 100)
        directory.clear("checkpoint-100")
        assert sorted(p.name for p in state.glob("checkpoint-*")) == [
            "checkpoint-100",
            "checkpoint-101",
        ]
        journal.close()
        directory.open().close()
        assert [p.name for p in state.glob("checkpoint-*")] == ["checkpoint-100"]
    finally:
        directory.close()


def test_a_missing_checkpoint_is_refused(state: Path) -> None:
    [checkpoint] = state.glob("checkpoint-*")
    checkpoint.unlink()
    assert f"{checkpoint.name} is missing" in refusal(state)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE row SET body = x'00' WHERE number = 3",
        "DELETE FROM row WHERE number = 3",
        "UPDATE row SET time_ns = 1 WHERE number = 2",
        "UPDATE about SET value = 5 WHERE name = 'number'",
        "DELETE FROM about WHERE name = 'sum'",
        "UPDATE about SET value = '../../etc/passwd' WHERE name = 'checkpoint'",
        "DROP TABLE row",
    ],
)
def test_a_journal_with_other_rows_is_refused(
    crashed: tuple[Path, object], tmp_path: Path, damage: str
) -> None:
    shutil.copytree(crashed[0], tmp_path / "state")
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db:
        db.execute(damage)
        db.commit()
    assert "damaged" in refusal(tmp_path / "state")


def flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


@pytest.mark.parametrize("harm", [flip, cut])
@pytest.mark.parametrize("file", ["journal.db", "journal.db-wal", "checkpoint-0"])
def test_a_file_that_is_harmed_is_refused_or_holds_all(
    crashed: tuple[Path, dict[str, object]],
    tmp_path: Path,
    file: str,
    harm: Callable[[random.Random, bytes], bytes],
) -> None:
    """Of the log, the end may be missing, for a crash can leave it so: the last group is lost."""
    source, expected = crashed
    refused = 0
    for seed in range(25):
        rng = random.Random(f"{file} {harm.__name__} {seed}")
        path = tmp_path / str(seed)
        shutil.copytree(source, path)
        (path / file).write_bytes(harm(rng, (path / file).read_bytes()))
        try:
            with kept_array(path) as room:
                found = observed(room)
        except FailedPrecondition as error:
            assert "\n" not in error.message, seed
            refused += 1
            continue
        if found != expected:
            assert file == "journal.db-wal", seed
            lost = len(expected["volumes"]) - len(found["volumes"])
            assert harm is cut or lost <= 1, seed
    assert refused or file == "journal.db-wal"
