"""Commands about resources, against one stack that is served in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from smokestack.cli.columns import COLUMNS
from smokestack.cli.failures import explain
from smokestack.cli.kinds import KINDS
from smokestack.cli.main import main
from smokestack.server.stack import Stack
from tests.server.scenarios import small_scenario

Run = Callable[..., str]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(small_scenario(2)) as stack:
        stack.serve(metrics_ports=None)
        yield stack


@pytest.fixture
def invoke(stack: Stack) -> Callable[..., Result]:
    runner = CliRunner(env={"SMOKESTACK_ADDRESS": stack.endpoints[0].address})

    def invoke(*words: str) -> Result:
        return runner.invoke(main, words, standalone_mode=False)

    return invoke


@pytest.fixture
def run(invoke: Callable[..., Result]) -> Run:
    def run(*words: str) -> str:
        done = invoke(*words)
        assert done.exception is None, done.exception
        return done.output

    return run


@pytest.fixture
def refused(invoke: Callable[..., Result]) -> Run:
    def refused(*words: str) -> str:
        done = invoke(*words)
        assert done.exception is not None, done.output
        failure = explain(done.exception)
        assert failure is not None, done.exception
        return failure.line

    return refused


def data(run: Run, *words: str) -> Any:
    return json.loads(run(*words, "-o", "json"))


def test_every_kind_is_listed_and_got_by_its_name(run: Run) -> None:
    for kind in ("arrays", "controllers", "ports", "pools", "volumes", "array-hosts", "exports"):
        found = data(run, "list", kind)
        assert found, kind
        assert data(run, "get", found[0]["name"]) == found[0]
    for kind in ("multipaths", "multipath-hosts", "devices", "paths", "hosts", "vms", "disks"):
        found = data(run, "list", kind)
        assert found, kind
        assert data(run, "get", found[0]["name"]) == found[0]


def test_a_line_of_a_table_can_be_taken_in_at_a_glance(run: Run) -> None:
    for kind in KINDS:
        if columns := COLUMNS.get(kind.word):
            assert set(columns) <= set(kind.rules.message.DESCRIPTOR.fields_by_name), kind.word
        if table := run("list", kind.plural).splitlines():
            heads = re.split(r"  +", table[1].strip())
            assert len(heads) <= 10, f"{kind.plural}: choose some of {', '.join(heads)}"


def test_people_get_tables_and_programs_yaml(run: Run) -> None:
    table = run("list", "volumes", "a1")
    assert "arrays/a1/volumes/" in table
    assert "arrays/a2/volumes/" not in table
    [first, *_] = yaml.safe_load(run("list", "ports", "-o", "yaml"))
    assert first["enabled"] is True
    assert "queue limit" in run("get", first["name"])


def test_a_resource_is_made_changed_and_removed(run: Run, refused: Run, tmp_path: Path) -> None:
    pool = data(run, "list", "pools", "a1")[0]["name"].rpartition("/")[2]
    made = data(run, "create", "volume", "a1/x1", "--pool", pool, "--capacity-bytes", "1GiB")
    assert made["pool"] == f"arrays/a1/pools/{pool}"
    assert made["capacity_bytes"] == 1 << 30
    file = tmp_path / "volume.yaml"
    file.write_text(f"pool: {pool}\ncapacity_bytes: 1GiB\n", encoding="utf-8")
    run("create", "arrays/a1/volumes/x2", "-f", str(file), "--capacity-bytes", "2GiB")
    assert data(run, "get", "volume", "x2")["capacity_bytes"] == 2 << 30
    changed = data(run, "update", "volume", "x2", "--capacity-bytes", "3GiB")
    assert changed["capacity_bytes"] == 3 << 30
    for name in ("x1", "x2"):
        assert run("delete", "volume", name) == f"arrays/a1/volumes/{name} deleted\n"
    assert refused("get", "volume", "x1").startswith("no volume x1 exists")


def test_fields_that_hold_more_than_a_word(run: Run) -> None:
    host = data(run, "create", "array-host", "a1/x9", "--initiators", "name=x9-a,fabric=a")
    assert host["initiators"] == [{"name": "x9-a", "fabric": "a"}]
    run("delete", "array-host", "a1/x9")
    disk = data(run, "list", "disks")[0]["name"]
    vm = disk.partition("/disks/")[0]
    sizes = ("--block-sizes", "length_bytes=8KiB,weight=3", "--block-sizes", "length_bytes=512")
    job = data(run, "create", f"{vm}/jobs/x1", "--disk", disk, *sizes, "--think-ns", "2ms")
    assert [size["length_bytes"] for size in job["block_sizes"]] == [8192, 512]
    assert job["think_ns"] == 2_000_000
    assert data(run, "stop", job["name"])["state"] == "STOPPED"


def test_a_set_of_hosts_is_made_and_exported_to(run: Run) -> None:
    pool = data(run, "list", "pools", "a1")[0]["name"].rpartition("/")[2]
    run("create", "volume", "a1/x1", "--pool", pool, "--capacity-bytes", "1GiB")
    made = data(run, "create", "host-set", "a1/hs1", "--hosts", "h1")
    assert made["hosts"] == ["arrays/a1/hosts/h1"]
    run("create", "port-set", "a1/ps1", "--ports", "p0")
    words = ("--volume", "x1", "--host-set", "hs1", "--port-set", "ps1")
    export = data(run, "create", "set-export", "arrays/a1", *words)
    assert export["name"] == "arrays/a1/setExports/x1.hs1"
    assert data(run, "get", "export", "a1/x1.h1")["host_set"] == "arrays/a1/hostSets/hs1"
    changed = data(run, "update", "host-set", "a1/hs1", "--hosts", "h2", "--hosts", "h1")
    assert changed["hosts"] == ["arrays/a1/hosts/h2", "arrays/a1/hosts/h1"]
    for kind, name in (("set-export", "x1.hs1"), ("host-set", "hs1"), ("port-set", "ps1")):
        run("delete", kind, f"a1/{name}")
    run("delete", "volume", "a1/x1")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("get trouble x", "'trouble' is no kind of resource"),
        ("get volume", "which volume? Name it"),
        ("create volume a1/x", "volume.pool, volume.capacity_bytes: required"),
        ("create volume a1/x --pool p --capacity-bytes big", "'big' is not bytes, or a number"),
        ("create pool a1/x --capacity-bytes 100", "pool.capacity_bytes: 100 is not"),
        ("create pool x --capacity-bytes 1GiB", "which array? There are 2: arrays/a1, arrays/a2"),
        ("create path x", "paths cannot be created, but: controller"),
        ("delete arrays/a9/volumes/v1", "no arrays/a9 is known here"),
        ("delete array a1", "arrays cannot be deleted"),
        ("topology --vm nobody/v1", "hosts/nobody/vms/v1 does not exist"),
        ("list hosts h1", "hosts lie below nothing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(refused: Run, words: str, line: str) -> None:
    assert line in refused(*words.split())


def test_a_kinds_help_shows_its_fields(run: Run) -> None:
    shown = " ".join(run("create", "pool", "--help").split())
    assert "--capacity-bytes SIZE Required." in shown
    assert "--media-distribution CONSTANT|EXPONENTIAL" in shown
    assert "--allocated-bytes" not in shown


def test_statistics_of_a_path_are_told_by_name(run: Run, refused: Run) -> None:
    path = json.loads(run("list", "paths", "-o", "json"))[0]["name"]
    assert "port_bb_credit_configured" in run("statistics", path)
    found = run("statistics", path, "smokestack_path_state", "-o", "json")
    [parameter] = json.loads(found)["parameters"]
    assert parameter["state"] == "active"
    assert "parameters[0]" in refused("statistics", path, "smokestack_nothing")


def test_topology_joins_the_services(run: Run) -> None:
    assert "a1/" in run("topology")
    every = data(run, "topology")
    assert [part["answered"] for part in every["parts"]] == [True] * 4
    vm = next(chain["vm"] for chain in every["chains"] if chain["vm"])
    shown = data(run, "topology", "--vm", "/".join(vm.split("/")[1::2]))
    assert {chain["vm"] for chain in shown["chains"]} == {vm}
    assert all(path["state"] == "ACTIVE" for chain in shown["chains"] for path in chain["paths"])


def test_a_watch_goes_on_where_it_ended(run: Run, tmp_path: Path) -> None:
    words = ("watch", "--no-follow", "--json", "--resume-file", str(tmp_path / "tokens.json"))
    seen = [json.loads(line) for line in run(*words).splitlines()]
    assert {event["name"].partition("/")[0] for event in seen} >= {"arrays", "multipaths"}
    assert run(*words) == ""
    run("create", "host", "x9")
    [new] = [json.loads(line) for line in run(*words).splitlines()]
    assert (new["kind"], new["subject"]) == ("HOST_CREATED", "hosts/x9")
    run("delete", "host", "x9")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_their_completion(run: Run, shell: str) -> None:
    assert "_SMOKESTACK_COMPLETE" in run("completion", shell)


def test_kinds_are_completed() -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(main, {}, "smokestack", "_SMOKESTACK_COMPLETE")
    assert isinstance(main, click.Group)
    volumes = ["volume", "volume-snapshot"]
    assert [c.value for c in complete.get_completions(["get"], "vo")] == volumes
    assert [c.value for c in complete.get_completions(["create"], "vo")] == volumes


def test_names_are_completed_from_the_running_stack(stack: Stack) -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(main, {}, "smokestack", "_SMOKESTACK_COMPLETE")

    def completed(*words: str) -> list[str]:
        given = [*words[:-1], "--address", stack.endpoints[0].address]
        return [c.value for c in complete.get_completions(given, words[-1])]

    assert completed("get", "port", "a1/p") == ["a1/p0", "a1/p1"]
    assert completed("delete", "volume", "arrays/a1/volumes/v2") == ["arrays/a1/volumes/v2"]
    assert completed("list", "paths", "m1/h1/a1.v1") == ["m1/h1/a1.v1"]
    assert completed("get", "nonsense", "a") == []


def test_without_a_stack_no_name_is_completed() -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(main, {}, "smokestack", "_SMOKESTACK_COMPLETE")
    assert complete.get_completions(["get", "--address", "127.0.0.1:1", "port"], "p") == []


def test_labels_are_given_as_keys_with_values(run: Run, refused: Run, tmp_path: Path) -> None:
    run(
        "update",
        "volume",
        "arrays/a1/volumes/v1",
        "--labels",
        "app=db",
        "--labels",
        "example.org/url=a=b,c",
    )
    assert "app=db example.org/url=a=b,c" in run("get", "volume", "arrays/a1/volumes/v1")
    assert json.loads(run("get", "volume", "arrays/a1/volumes/v1", "-o", "json"))["labels"] == {
        "app": "db",
        "example.org/url": "a=b,c",
    }
    (tmp_path / "labels.yaml").write_text("labels: {app: web}")
    run("update", "volume", "arrays/a1/volumes/v1", "-f", str(tmp_path / "labels.yaml"))
    assert "app=web" in run("get", "volume", "arrays/a1/volumes/v1")
    assert "labels: 'app' is not KEY=VALUE" in refused(
        "update", "volume", "arrays/a1/volumes/v1", "--labels", "app"
    )


def test_a_device_is_reset(run: Run, refused: Run) -> None:
    assert "a1.v1" in run("reset-device", "h1/a1.v1")
    assert "being reset already" in refused("reset-device", "h1/a1.v1", "--target")
    assert "nowhere" in refused("reset-device", "h1/nowhere")


def test_a_pair_of_controllers_is_created_and_one_of_them_reboots(run: Run, refused: Run) -> None:
    run("create", "controller", "a1/c8", "--reboot-ns", "5ms", "--cache-bytes", "64MiB")
    run("create", "controller", "a1/c9", "--partner", "c8")
    shown = json.loads(run("get", "controller", "c8", "-o", "json"))
    assert (shown["partner"], shown["state"]) == ("arrays/a1/controllers/c9", "ONLINE")
    assert "c8" in run("reboot", "a1/c8")
    assert "reboot_ns" in refused("reboot", "c9")
    run("delete", "controller", "c9")
    run("delete", "controller", "c8")
