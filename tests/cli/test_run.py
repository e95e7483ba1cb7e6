"""`smokestack run`: figures and a digest that the seed repeats, however many processes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.command import BUNDLED, Terminal, figures, refusal, smokestack

JOB = "{name: j0, disk: d0, iodepth: 16, read_ratio: 0.5, io_limit: 600}"
ENDLESS = "{name: j0, disk: d0}"


def scenario(folder: Path, job: str) -> Path:
    """Writes the default stack with a job on its first VM, as a user would."""
    shown = smokestack("scenario", "show").stdout
    disks = "          - {name: d0, device: a1.v1}\n"
    assert disks in shown
    path = folder / "mine.yaml"
    path.write_text(shown.replace(disks, f"{disks}        jobs:\n          - {job}\n"))
    return path


def test_a_trace_is_replayed_whole() -> None:
    found = figures("run", "--trace", BUNDLED)
    assert (found["ios"], found["errors"]) == (5140, 0)
    assert 89 < found["virtual_seconds"] < 91
    assert found["wall_seconds"] > 0
    assert found["ios_per_wall_second"] > 0
    latency = found["latency"]
    assert 0 < latency["p50_ns"] <= latency["p99_ns"] <= latency["max_ns"]
    assert len(found["digest"]) == 64


def test_the_digest_is_the_same_for_one_process_and_for_many_and_the_seed_changes_it(
    tmp_path: Path,
) -> None:
    mine = scenario(tmp_path, JOB)
    one = figures("run", mine)
    many = figures("run", mine, "--processes")
    other = figures("run", mine, "--seed", "2")
    assert one["ios"] == many["ios"] == other["ios"] == 600
    assert one["digest"] == many["digest"] != other["digest"]


def test_people_read_a_summary(tmp_path: Path) -> None:
    done = smokestack("run", scenario(tmp_path, JOB))
    assert (done.returncode, done.stderr) == (0, "")
    assert "600 I/Os, 0 errors; latency mean " in done.stdout
    assert "h1-a.p0" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_job_without_an_end_needs_a_limit(tmp_path: Path) -> None:
    mine = scenario(tmp_path, ENDLESS)
    assert "hosts[0].vms[0].jobs[0]: never ends" in refusal("run", mine)
    assert figures("run", mine, "--seconds", "0.01")["virtual_seconds"] == 0.01


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("{name: j0, disk: d7}", "hosts[0].vms[0].jobs[0].disk: 'd7' is no disk: use d0"),
        ("{name: j0, disk: d0, iodeth: 3}", "hosts[0].vms[0].jobs[0].iodeth: "),
        (
            "{name: j0, disk: d0, read_ratio: 7, io_limit: 1}",
            "hosts[0].vms[0].jobs[0].read_ratio: ",
        ),
    ],
)
def test_a_wrong_scenario_is_told_with_the_place(tmp_path: Path, job: str, words: str) -> None:
    mine = scenario(tmp_path, job)
    assert words in refusal("run", mine)
    assert words in refusal("scenario", "check", mine)


def test_a_good_scenario_is_told_so(tmp_path: Path) -> None:
    done = smokestack("scenario", "check", scenario(tmp_path, JOB))
    assert done.returncode == 0
    assert "mine.yaml: good: 1 array, 4 volumes, 2 hosts, 4 VMs, 1 job" in done.stdout


@pytest.mark.parametrize("layout", [[], ["--processes"]], ids=["one process", "many processes"])
def test_an_interrupt_ends_a_run_and_all_that_it_started(tmp_path: Path, layout: list[str]) -> None:
    mine = scenario(tmp_path, ENDLESS)
    with Terminal("run", mine, "--seconds", "1000000", *layout) as terminal:
        terminal.wait_for(" a second")  # of the progress bar: it is running
        children = terminal.children()
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == 130
    assert len(children) == (3 if layout else 0)
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert "Traceback" not in terminal.shown
