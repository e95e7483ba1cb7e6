"""The pytest plugin: a stack for each test, as if just started, and a report that replays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from smokestack.server.clocks import ClockSettings
from smokestack.server.scenario import default_scenario
from smokestack.server.stack import Stack

pytest_plugins = ("pytester",)

PLUGIN = ("-p", "smokestack.testing.plugin")  # installed, it is there by itself
Run = Callable[..., pytest.RunResult]

SMALL = """
fabrics: [f]
arrays:
  - name: b1
    controllers: [{name: c0}]
    ports: [{name: p0, controller: c0, fabric: f}]
    pools: [{name: tiny, capacity_bytes: 1 MiB}]
    volumes: [{name: v1, pool: tiny, capacity_bytes: 2 MiB}]
    exports: [{volume: v1, host: h1}]
hosts:
  - name: h1
    initiators: [{name: h1-f, fabric: f}]
    vms:
      - {name: v1, disks: [{name: d0, device: b1.v1}]}
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Runs pytest on one test module; the options follow it."""

    def run(module: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(module)
        return pytester.runpytest_inprocess("-q", *PLUGIN, "-p", "no:cacheprovider", *options)

    return run


def test_a_pool_is_filled_in_ten_lines(run: Run) -> None:
    done = run(
        """
        def test_writes_fail_once_the_pool_is_full(smokestack):
            disk = smokestack.hosts["h2"].vms["v4"].disks["d0"]
            assert disk.write(4096).succeeded

            smokestack.pools["p1"].fill(1.0)

            refused = disk.write(4096, offset_bytes=1 << 30)
            assert refused.sense == 0x072707  # space allocation failed
            assert smokestack.pools["p1"].allocation_failure_count == 1
        """
    )
    done.assert_outcomes(passed=1)


def test_nothing_of_a_test_is_left_over_for_the_next(run: Run) -> None:
    done = run(
        """
        import pytest

        addresses = set()

        @pytest.mark.parametrize("turn", range(3))
        def test_stack(smokestack, turn):
            addresses.add(smokestack.address)
            assert len(addresses) == 1, "one server for the session"
            assert smokestack.now_ns == 0
            assert [v.id for v in smokestack.volumes] == ["v1", "v2", "v3", "v4"]
            assert smokestack.simulation().clock.autojump
            smokestack.set_clock(mode="PACED", autojump=False)
            smokestack.volumes.create("v9", pool="p1", capacity_bytes=1 << 20)
            smokestack.set_clock(mode="MANUAL")
            smokestack.advance(seconds=1)
        """
    )
    done.assert_outcomes(passed=3)


def test_whoever_has_a_process_of_their_own_finds_every_service(run: Run) -> None:
    done = run(
        """
        import grpc
        import urllib.request

        from smokestack.client import connect_array

        def test_addresses(smokestack):
            names = ["arrays/a1", "hypervisors/hv1", "multipaths/m1"]
            assert sorted(smokestack.addresses) == sorted(smokestack.metrics_urls) == names
            assert smokestack.addresses["hypervisors/hv1"] == smokestack.address
            with connect_array(smokestack.addresses["arrays/a1"]) as array:
                assert array.pools["p1"].page_bytes == 16384
            with urllib.request.urlopen(smokestack.metrics_urls["arrays/a1"]) as page:
                assert b"smokestack_array" in page.read()
        """
    )
    done.assert_outcomes(passed=1)


def test_an_unmodified_client_never_hangs(run: Run) -> None:
    done = run(
        """
        def test_io(smokestack):
            before = smokestack.now_ns
            assert smokestack.hosts["h1"].vms["v1"].disks["d0"].write(4096).latency_ns > 0
            assert smokestack.now_ns > before

        def test_goals(smokestack):
            jobs = smokestack.hosts["h1"].vms["v1"].jobs
            jobs.create("j0", disk="d0", read_ratio=0.0, iodepth=8)
            smokestack.advance_until_full(smokestack.pools["p1"], 0.000_01)
            assert smokestack.pools["p1"].allocated_bytes >= 100 * 16384
            jobs.create("j1", disk="d0", io_limit=3)
            smokestack.advance_until_event("JOB_FINISHED", jobs["j1"])
            assert jobs["j1"].state == "FINISHED"
        """
    )
    done.assert_outcomes(passed=2)


def test_a_marker_says_what_the_stack_is(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", small=SMALL)
    done = run(
        f"""
        import pytest

        TEXT = {SMALL!r}

        @pytest.mark.smokestack(scenario="small.yaml", seed=7)
        class TestSmall:
            def test_file(self, smokestack):
                assert [p.id for p in smokestack.pools] == ["tiny"]
                assert smokestack.seed == smokestack.simulation().seed == 7

            @pytest.mark.smokestack(seed=8)
            def test_the_closest_marker_counts(self, smokestack):
                assert (list(smokestack.arrays), smokestack.seed) == (["b1"], 8)

        @pytest.mark.smokestack(scenario=TEXT)
        def test_text(smokestack):
            assert (list(smokestack.arrays), smokestack.seed) == (["b1"], 5)

        @pytest.mark.smokestack(scenario="none.yaml")
        def test_missing(smokestack):
            pass

        @pytest.mark.smokestack(scenario="nonsense: true\\n")
        def test_wrong(smokestack):
            pass

        @pytest.mark.smokestack("small.yaml", sede=3)
        def test_misspelt(smokestack):
            pass
        """,
        "--smokestack-seed=5",
    )
    done.assert_outcomes(passed=3, errors=3)
    done.stdout.fnmatch_lines(
        [
            "smokestack: no scenario file *none.yaml*",
            "smokestack: a scenario given as text: *nonsense*",
            "smokestack: @pytest.mark.smokestack takes *, not 'small.yaml', 'sede'",
        ]
    )


def test_options_stand_in_ini_files_too(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", small=SMALL)
    pytester.makeini("[pytest]\nsmokestack_scenario = small.yaml\nsmokestack_seed = 11")
    module = "def test(smokestack): assert (smokestack.seed, *smokestack.arrays) == {}"
    run(module.format((11, "b1"))).assert_outcomes(passed=1)
    run(module.format((12, "b1")), "--smokestack-seed=12").assert_outcomes(passed=1)


def test_a_failure_shows_the_stack_and_how_to_replay(run: Run) -> None:
    done = run(
        """
        def test_fails(smokestack):
            smokestack.ports["p0"].update(enabled=False)
            smokestack.advance(seconds=2)
            assert smokestack.seed < 0

        def test_passes(smokestack):
            pass
        """,
        "--smokestack-seed=42",
    )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*- smokestack -*",
            "seed 42, the default scenario",
            "virtual time 2.000000000 s; the last events:",
            "  0.000050000 s  PORT_DOWN arrays/a1/ports/p0*",
            "*PATH_DOWN * because of arrays/a1/events/*",
            "replay with: pytest *::test_fails --smokestack-seed=42",
        ]
    )
    assert done.stdout.str().count("replay with") == 1


def test_options_that_contradict_one_another_are_refused(run: Run) -> None:
    empty = "def test(): pass"
    for options, complaint in (
        (("--smokestack-seed=-1",), "*--smokestack-seed: '-1' is not within 0 to*"),
        (("--smokestack-address=x", "--smokestack-scenario=y"), "*give one of the two*"),
        (("--smokestack-address=x", "-n2"), "*run without -n*"),
    ):
        done = run(empty, *options)
        assert done.ret == pytest.ExitCode.USAGE_ERROR
        done.stderr.fnmatch_lines([complaint])


def test_a_stack_that_runs_already_is_used(run: Run) -> None:
    module = """
        import pytest

        @pytest.mark.parametrize("turn", range(2))
        def test_stack(smokestack, turn):
            assert (smokestack.now_ns, smokestack.seed) == (0, 1)
            smokestack.advance(seconds=1)

        @pytest.mark.smokestack(scenario="fabrics: []\\n")
        def test_another_scenario(smokestack):
            pass
    """
    with Stack(default_scenario(), ClockSettings(autojump=False)) as stack:
        address = stack.serve()[0].address
        done = run(module, f"--smokestack-address={address}")
        done.assert_outcomes(passed=2, errors=1)
        done.stdout.fnmatch_lines(
            [f"smokestack: the stack at {address} has a scenario of its own*"]
        )
    done = run(module, "--smokestack-address=127.0.0.1:1", "-k", "turn or 0")
    done.stdout.fnmatch_lines(["smokestack: no stack answers at 127.0.0.1:1*"])


def test_workers_of_xdist_have_stacks_of_their_own(run: Run) -> None:
    done = run(
        """
        import pytest

        @pytest.mark.parametrize("turn", range(4))
        def test_stack(smokestack, turn):
            assert smokestack.now_ns == 0
            smokestack.advance(seconds=1)
            assert turn != 3
        """,
        "-n2",
    )
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(["replay with: pytest *test_stack?3?' --smokestack-seed=1"])


def test_servers_may_run_elsewhere(run: Run) -> None:
    done = run(
        """
        import os
        import pytest
        from smokestack.testing import OwnProcess
        from smokestack.testing.servers import Servers

        @pytest.fixture(scope="session")
        def smokestack_servers():
            with Servers(OwnProcess) as servers:
                yield servers

        def test_stack(smokestack):
            assert smokestack.now_ns == 0
            smokestack.pools["p1"].fill(0.01)

        @pytest.mark.smokestack(seed=3)
        def test_next(smokestack):
            assert smokestack.pools["p1"].allocated_bytes == 0
            assert smokestack.seed == smokestack.simulation().seed == 3

        @pytest.mark.smokestack(scenario="nonsense: true\\n")
        def test_wrong(smokestack):
            pass
        """
    )
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["smokestack: *nonsense*"])


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    program = (
        "import sys, pytest\n"
        f"code = pytest.main(['--collect-only', '-q', *{PLUGIN!r}, '-p', 'no:cacheprovider',"
        " '-p', 'no:benchmark', '-p', 'no:hypothesispytest', '/dev/null'])\n"
        "heavy = {'grpc', 'numpy', 'google.protobuf', 'smokestack.client', 'smokestack.server'}\n"
        "assert 'smokestack.testing.plugin' in sys.modules\n"
        "import smokestack.testing\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
