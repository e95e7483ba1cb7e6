"""One result, whatever carries it: one process, one for each service, several arrays."""

from __future__ import annotations

from pathlib import Path

import pytest

from smokestack.server.run import Progress, run_stack
from smokestack.server.scenario import ScenarioError, default_scenario
from smokestack.v1 import array_pb2, multipath_pb2
from smokestack.workload.traces import bundled
from tests.server.scenarios import small_scenario


@pytest.mark.parametrize("arrays", [1, 2])
def test_processes_give_the_same_digest_as_one_process(arrays: int) -> None:
    scenario = small_scenario(arrays)
    here, there = run_stack(scenario), run_stack(scenario, processes=True)
    assert here["digest"] == there["digest"]
    assert here["ios"] == there["ios"] == 3_000 * arrays
    assert here["errors"] > 0, "the pools were meant to run dry"
    assert sum(row["refusals"] for row in here["paths"]) > 0, "the ports were meant to refuse"
    for figure in ("errors", "virtual_seconds", "latency", "windows", "disks", "paths"):
        assert here[figure] == there[figure]


def test_zeros_are_the_same_wherever_they_are_detected() -> None:
    """What a submission's flags say comes to the array through every link."""
    scenario = small_scenario()
    scenario.arrays[0].volumes[0].zero_detect = array_pb2.ZERO_DETECT_RECLAIM
    pool = scenario.arrays[0].pools[0]
    pool.page_bytes, pool.capacity_bytes = 4096, 1 << 20
    plain = run_stack(scenario)["errors"]
    for host in scenario.hosts:
        for job in host.vms[0].jobs:
            job.zero_ratio = 0.5
    here, there = run_stack(scenario), run_stack(scenario, processes=True)
    assert here["digest"] == there["digest"]
    assert 0 < here["errors"] < plain, "zeros were meant to take no space"


def test_checked_and_blocked_paths_are_the_same_in_every_layout() -> None:
    """Checks go to arrays as commands do, through every link; settings come from the scenario."""
    plain = run_stack(small_scenario(2))["digest"]
    scenario = small_scenario(2)
    for number, host in enumerate(scenario.hosts):
        handling = host.path_failure_handling
        handling.checker = multipath_pb2.PATH_CHECKER_TUR
        handling.polling_interval_ns = 300_000
        handling.fast_io_fail_ns = number * 500_000
        handling.no_path_retry = multipath_pb2.NO_PATH_RETRY_QUEUE
    for start_ns, fabric in ((1_000_000, "a"), (4_000_000, "b")):
        link = f"multipaths/m1/fabrics/{fabric}/links/h1-{fabric}"
        scenario.faults.add(kind="LINK_DOWN", target=link, start_ns=start_ns, duration_ns=1_500_000)
    here, there = run_stack(scenario), run_stack(scenario, processes=True)
    assert here["digest"] == there["digest"] != plain
    for figure in ("ios", "errors", "virtual_seconds", "latency", "windows", "paths"):
        assert here[figure] == there[figure]


def test_a_run_repeats_and_changes_with_the_seed() -> None:
    first, again, other = (run_stack(small_scenario(seed=seed))["digest"] for seed in (1, 1, 2))
    assert first == again != other


def test_a_trace_is_replayed_on_the_default_stack(tmp_path: Path) -> None:
    file = tmp_path / "trace.vscsi"
    file.write_bytes(bundled())
    seen: list[Progress] = []
    result = run_stack(trace=file, progress=seen.append)
    assert result["ios"] > 1_000
    assert result["errors"] == 0
    assert result["outstanding"] == 0
    assert result["digest"] == run_stack(trace=bundled())["digest"]
    assert [row["ios"] for row in result["disks"]] == [result["ios"], 0, 0, 0]


def test_a_limit_ends_jobs_that_never_do() -> None:
    scenario = small_scenario(io_limit=0)
    with pytest.raises(ScenarioError, match=r"hosts\[0\].vms\[0\].jobs\[0\]: never ends"):
        run_stack(scenario)
    result = run_stack(scenario, seconds=0.01)
    assert result["virtual_seconds"] == 0.01
    assert result["outstanding"] > 0


def test_a_run_says_what_is_wrong_with_a_trace() -> None:
    with pytest.raises(ScenarioError, match=r"trace: .*offset 0"):
        run_stack(trace=b"no trace at all")
    with pytest.raises(ScenarioError, match="No such file"):
        run_stack(trace="/nowhere/trace.vscsi")


def test_the_default_stack_has_the_names_that_people_rely_on() -> None:
    scenario = default_scenario()
    assert list(scenario.fabrics) == ["fabric-a", "fabric-b"]
    [array] = scenario.arrays
    assert array.name == "a1"
    assert [c.name for c in array.controllers] == ["c0", "c1"]
    assert [p.name for p in array.ports] == ["p0", "p1", "p2", "p3"]
    assert [p.name for p in array.pools] == ["p1"]
    assert all(v.capacity_bytes >= 40 << 30 for v in array.volumes)
    vms = {host.name: [vm.name for vm in host.vms] for host in scenario.hosts}
    assert vms == {"h1": ["v1", "v2"], "h2": ["v3", "v4"]}
    promised = sum(v.capacity_bytes for v in array.volumes)
    assert promised > array.pools[0].capacity_bytes, "the pool is meant to be oversubscribed"
