"""Scenario files: what is wrong is told by its place in the file, and by what would be right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from google.protobuf.descriptor import Descriptor

from smokestack.server import scenario as module
from smokestack.server.scenario import (
    OUTPUT_ONLY,
    ScenarioError,
    default_scenario,
    default_scenario_text,
    load_scenario,
    parse_scenario,
)
from smokestack.server.stack import Stack
from smokestack.v1 import scenario_pb2
from tests.house import tree

GOOD = """
fabrics: [a]
arrays:
  - name: a1
    controllers: [{name: c0}]
    ports: [{name: p0, controller: c0, fabric: a}]
    pools: [{name: p1, capacity_bytes: 1 GiB}]
    volumes: [{name: v1, pool: p1, capacity_bytes: 2 GiB}]
    exports: [{volume: v1, host: h1}]
hosts:
  - name: h1
    initiators: [{name: h1-a, fabric: a}]
    vms:
      - name: v1
        disks: [{name: d0, device: a1.v1}]
        jobs: [{name: j0, disk: d0, io_limit: 10}]
"""

# What is changed in GOOD, and what is said of it.
WRONG = {
    "an unknown field": (
        "io_limit: 10",
        "io_limits: 10",
        "jobs[0].io_limits: is no field of a job: did you mean io_limit?",
    ),
    "a field of the top": (
        "fabrics: [a]",
        "fabric: [a]",
        "fabric: is no field of a scenario: did you mean fabrics?",
    ),
    "text for a number": (
        "io_limit: 10",
        "io_limit: ten",
        "hosts[0].vms[0].jobs[0].io_limit: 'ten' is not a whole number",
    ),
    "a truth for a number": (
        "io_limit: 10",
        "io_limit: yes",
        "jobs[0].io_limit: true is not a whole number",
    ),
    "a fraction": ("1 GiB", "1.5", "arrays[0].pools[0].capacity_bytes: 1.5 is not a whole number"),
    "an unknown unit": (
        "1 GiB",
        "1 GB",
        "'1 GB' is not a whole number, alone or with one of KiB, MiB, GiB",
    ),
    "a number too large": (
        "1 GiB",
        "9223372036854775808",
        "capacity_bytes: 9223372036854775808 is not within",
    ),
    "a number for text": (
        "name: p1",
        "name: 1",
        "arrays[0].pools[0].name: 1 is not text: put it in quotes",
    ),
    "a list for a mapping": (
        "{name: c0}",
        "[c0]",
        "arrays[0].controllers[0]: a list is not a mapping of fields such as name",
    ),
    "a mapping for a list": (
        "[{name: c0}]",
        "{name: c0}",
        "arrays[0].controllers: a mapping is not a list: begin each entry with '- '",
    ),
    "nothing": ("pool: p1", "pool:", "arrays[0].volumes[0].pool: is empty"),
    "an enum's other word": (
        "disk: d0,",
        "disk: d0, pattern: RANDUM,",
        "jobs[0].pattern: 'RANDUM' is none of RANDOM, SEQUENTIAL, ZIPF",
    ),
    "what is reported": (
        "pool: p1",
        "pool: p1, allocated_bytes: 0",
        "arrays[0].volumes[0].allocated_bytes: is reported, not set: leave it out",
    ),
    "no array": ("arrays:", "traces: []\nnone:", "none: is no field"),
    "no name": (
        "{name: c0}",
        "{core_count: 4}",
        "arrays[0].controllers[0].name: is missing: give a name, e.g. c0",
    ),
    "a name twice": (
        "[{name: c0}]",
        "[{name: c0}, {name: c0}]",
        "arrays[0].controllers[1].name: 'c0' is taken: choose another name",
    ),
    "no identifier": ("{name: c0}", "{name: C 0}", "arrays[0].controllers[0].name: 'C 0' is no id"),
    "a controller that is not there": (
        "controller: c0",
        "controller: c9",
        "arrays[0].ports[0].controller: 'c9' is no controller: use c0",
    ),
    "a fabric that is not there": (
        "fabric: a}]\n    vms",
        "fabric: b}]\n    vms",
        "hosts[0].initiators[0].fabric: 'b' is no fabric: use a",
    ),
    "a pool that is not there": (
        "pool: p1",
        "pool: p2",
        "arrays[0].volumes[0].pool: 'p2' is no pool: use p1",
    ),
    "a volume that is not exported": (
        "a1.v1",
        "a1.v2",
        "vms[0].disks[0].device: 'a1.v2' is no volume exported here: use a1.v1",
    ),
    "a disk that is not there": (
        "disk: d0,",
        "disk: d1,",
        "hosts[0].vms[0].jobs[0].disk: 'd1' is no disk: use d0",
    ),
    "a trace that is not there": (
        "disk: d0,",
        "disk: d0, trace: t1,",
        "hosts[0].vms[0].jobs[0].trace: 't1' is no trace: there is none",
    ),
    "a key twice": (
        "io_limit: 10",
        "io_limit: 10, io_limit: 11",
        "line 16, column 51: 'io_limit' stands here a second time",
    ),
    "no YAML": ("fabrics: [a]", "fabrics: [a", "line"),
    "an object": (
        "fabrics: [a]",
        "fabrics: !!python/object/apply:os.getcwd []",
        "could not determine a constructor",
    ),
    # What only a service can say, with its place in the file:
    "a page that is no multiple": (
        "1 GiB",
        "1 GiB, page_bytes: 5000",
        "arrays[0].pools[0].page_bytes: 5000 is not",
    ),
    "an odd capacity": (
        "2 GiB",
        "1000",
        "arrays[0].volumes[0].capacity_bytes: 1000 is not a positive multiple of 512",
    ),
    "a depth out of range": (
        "    vms:",
        "    lun_queue_depth: 5000\n    vms:",
        "hosts[0].lun_queue_depth: 5000 is not within 1 to 4096",
    ),
    "a block that is too long": (
        "io_limit: 10",
        "block_sizes: [{length_bytes: 3}]",
        "hosts[0].vms[0].jobs[0].block_sizes[0].length_bytes: 3",
    ),
    "a disk beyond its device": (
        "device: a1.v1",
        "device: a1.v1, capacity_bytes: 3 GiB",
        "hosts[0].vms[0].disks[0].capacity_bytes: a1.v1 has",
    ),
    "a trace that is no file": (
        "fabrics: [a]",
        "fabrics: [a]\ntraces: [{name: t1, file: gone.bin}]",
        "traces[0].file: gone.bin: No such file",
    ),
    "a trace's format": (
        "fabrics: [a]",
        "fabrics: [a]\ntraces: [{name: t1, format: tape}]",
        "traces[0].format: 'tape' is none of",
    ),
    "a LUN twice": (
        "host: h1}]",
        "host: h1, lun: 3}, {volume: v1, host: h1}]",
        "arrays[0].exports[1]: ",
    ),
}


def build(text: str) -> None:
    Stack(parse_scenario(text)).close()


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_by_its_place(case: str) -> None:
    old, new, said = WRONG[case]
    assert GOOD.count(old) >= 1
    with pytest.raises(ScenarioError) as error:
        build(GOOD.replace(old, new, 1))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_good_one_is_built() -> None:
    with Stack(parse_scenario(GOOD)) as stack:
        assert "a1" in stack.arrays


SETS = GOOD.replace(
    "exports: [{volume: v1, host: h1}]",
    """host_sets: [{name: hs1, hosts: [h1]}]
    port_sets: [{name: ps1, ports: [p0]}]
    set_exports: [{volume: v1, host_set: hs1, port_set: ps1, lun: 4}]""",
)


def test_a_volume_is_exported_to_a_set_of_hosts_which_sees_it() -> None:
    with Stack(parse_scenario(SETS)) as stack:
        [export] = stack.arrays["a1"].model.exports.values()
    assert (export.host_id, export.lun, export.ports, export.host_set) == ("h1", 4, ("p0",), "hs1")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hosts: [h1]", "hosts: [h2]", "arrays[0].host_sets[0].hosts[0]: "),
        ("hosts: [h1]", "hosts: []", "arrays[0].host_sets[0].hosts: is missing"),
        ("ports: [p0]", "ports: [p9]", "arrays[0].port_sets[0].ports[0]: "),
        ("host_set: hs1", "host_set: hs2", "arrays[0].set_exports[0].host_set: "),
        ("port_set: ps1", "port_set: ps2", "arrays[0].set_exports[0].port_set: "),
        ("lun: 4", "lun: 99999", "arrays[0].set_exports[0].lun: "),
    ],
)
def test_what_is_wrong_with_sets_is_told_by_its_place(old: str, new: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        build(SETS.replace(old, new, 1))
    assert said in str(error.value)


def test_every_wrong_place_is_told_at_once() -> None:
    text = GOOD.replace("pool: p1", "pool: p2").replace("controller: c0", "controller: c9")
    with pytest.raises(ScenarioError) as error:
        parse_scenario(text)
    assert [v.field for v in error.value.violations] == [
        "arrays[0].ports[0].controller",
        "arrays[0].volumes[0].pool",
    ]


def test_sizes_and_times_may_carry_units() -> None:
    text = GOOD.replace("1 GiB", "512MiB, media_ns: 2 ms")
    [pool] = parse_scenario(text).arrays[0].pools
    assert (pool.capacity_bytes, pool.media_ns) == (512 << 20, 2_000_000)


def test_a_file_is_read_with_traces_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD.replace("fabrics: [a]", "fabrics: [a]\ntraces: [{name: t1, file: t.bin}]"))
    assert load_scenario(file).traces[0].file == str(tmp_path / "t.bin")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"[" * 5000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "s.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ScenarioError, match=said):
        load_scenario(file)


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 10)
    (tmp_path / "s.yaml").write_text(GOOD)
    with pytest.raises(ScenarioError, match="more than the 10 allowed"):
        load_scenario(tmp_path / "s.yaml")


def test_the_default_scenario_is_the_file_that_is_shown() -> None:
    assert parse_scenario(default_scenario_text()) == default_scenario()
    assert isinstance(yaml.safe_load(default_scenario_text()), dict)


def messages(descriptor: Descriptor) -> dict[str, Descriptor]:
    """Returns the message types that a scenario is made of, by name."""
    found = {descriptor.name: descriptor}
    for field in descriptor.fields:
        if field.message_type is not None:
            found |= messages(field.message_type)
    return found


def test_output_only_fields_are_those_of_the_protos() -> None:
    commented: dict[str, set[str]] = {}
    for path in (tree.ROOT / "protos/smokestack/v1").glob("*.proto"):
        message = ""
        output = False
        for line in path.read_text().splitlines():
            if opened := re.match(r"message (\w+) {", line):
                message = opened[1]
            output = output or "OUTPUT ONLY" in line
            if field := re.match(r"  (?:repeated |optional )?[\w.]+ (\w+) = \d+;", line):
                if output:
                    commented.setdefault(message, set()).add(field[1])
                output = False
    ours = messages(scenario_pb2.Scenario.DESCRIPTOR)
    assert {name: fields for name, fields in commented.items() if name in ours} == OUTPUT_ONLY
