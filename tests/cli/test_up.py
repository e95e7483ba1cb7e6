"""`smokestack up` and `serve`: served, moved when told, ended by Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from typing import Any

import pytest

from smokestack.client import connect, errors
from tests.cli.command import figures, interrupt, refusal, smokestack, started


def said(process: subprocess.Popen[str]) -> Any:
    """Returns the line of JSON that a server begins with."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_a_stack_is_served_and_its_time_moves_when_told() -> None:
    with started("up", "--port-base", "0", "--json", "--clock", "manual") as process:
        services = said(process)["services"]
        assert [s["name"] for s in services] == ["hypervisors/hv1", "multipaths/m1", "arrays/a1"]
        addresses = [word for s in services for word in ("--address", s["address"])]
        moved = figures("advance", "--duration", "20ms", *addresses[:2])
        assert moved == {"now_ns": 20_000_000, "io_count": 0, "error_count": 0}
        shown = figures("status", *addresses)
        assert [entry["now_ns"] for entry in shown] == [20_000_000] * 3
        assert [entry["driver"] for entry in shown] == ["", "hypervisors/hv1", "multipaths/m1"]
        assert len(shown[0]["tables"]["virtual_disks"]) == 4
        assert len(shown[1]["tables"]["paths"]) == 16
        assert shown[2]["tables"]["pools"][0]["subscribed_bytes"] == 256 << 30
        with urllib.request.urlopen(services[2]["metrics_url"]) as answer:
            assert b"smokestack_" in answer.read()
        assert interrupt(process) == (0, "", "")


def test_people_get_names_addresses_and_commands_to_copy() -> None:
    with started("up", "--port-base", "0", "--clock", "manual") as process:
        assert process.stdout is not None
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
        shown = "".join(lines)
        address = lines[0].split()[1]
        assert f"  smokestack advance --duration 1s --address {address}\n" in shown
        assert "hosts/h1: VMs v1 (a1.v1), v2 (a1.v2)" in shown
        done = smokestack("status", "--address", address)
        assert "hosts/h2/vms/v4/disks/d0" in done.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_a_driven_service_names_who_moves_it() -> None:
    with started("up", "--port-base", "0", "--json", "--clock", "manual") as process:
        hypervisor, multipath, array = (s["address"] for s in said(process)["services"])
        line = refusal("advance", "--address", array, code=1)
        assert line == "smokestack: arrays/a1 is driven by multipaths/m1: advance that instead"
        figures("advance", "--duration", "2ms", "--address", hypervisor)
        assert "until_ns: 1000000 is not" in refusal(
            "advance", "--until", "1ms", "--address", hypervisor
        )
        assert "multipaths" in smokestack("status", "--address", multipath).stdout


def test_a_port_in_use_is_told_in_one_line() -> None:
    with started("up", "--port-base", "0", "--json") as process:
        address = said(process)["services"][0]["address"]
        port = address.rpartition(":")[2]
        line = refusal("up", "--port-base", port, code=1)
        assert f"cannot listen on {address}: address already in use" in line
        assert "--port-base" in line
        line = refusal("array", "serve", "--listen", address, code=1)
        assert f"cannot listen on {address}: address already in use" in line


def reset_refused(address: str) -> str:
    with connect(address) as stack, pytest.raises(errors.FailedPrecondition) as caught:
        stack.reset()
    return str(caught.value)


def test_three_services_find_one_another() -> None:
    listen = ("--listen", "127.0.0.1:0", "--json")
    with started("array", "serve", "--name", "b1", *listen) as array:
        at = said(array)["address"]
        with started("multipath", "serve", "--array", f"b1={at}", *listen) as multipath:
            at = said(multipath)["address"]
            with started("hypervisor", "serve", "--multipath", at, *listen) as hypervisor:
                at = said(hypervisor)["address"]
                assert figures("advance", "--address", at)["now_ns"] == 10**9
                assert "start the processes" in reset_refused(at)
                assert figures("clock", "paced", "--address", at)["mode"] == "paced"
                assert interrupt(hypervisor) == (0, "", "")
            assert interrupt(multipath) == (0, "", "")
        assert interrupt(array) == (0, "", "")


def test_who_is_not_there_is_told_in_one_line() -> None:
    nobody = "127.0.0.1:1"
    for command in (
        ("multipath", "serve", "--array", f"a1={nobody}", "--listen", "127.0.0.1:0"),
        ("hypervisor", "serve", "--multipath", nobody, "--listen", "127.0.0.1:0"),
        ("status", "--address", nobody),
        ("advance", "--address", nobody),
    ):
        assert nobody in refusal(*command, code=1)


def test_time_keeps_step_with_the_wall_unless_told_otherwise() -> None:
    with started("up", "--port-base", "0", "--json", "--factor", "100") as process:
        at = ("--address", said(process)["services"][0]["address"])
        assert figures("clock", *at) == {"mode": "paced", "factor": 100, "autojump": False}
        assert "time of hypervisors/hv1 moves by itself, paced at 100 × real time" in refusal(
            "advance", *at, code=1
        )
        assert smokestack("clock", "manual", "--autojump", *at).stdout == "manual, autojump on\n"
        moved_to = figures("advance", "--duration", "1s", *at)["now_ns"]
        assert figures("advance", "--duration", "1s", *at)["now_ns"] == moved_to + 10**9 > 10**9
        assert figures("clock", "flat-out", *at)["mode"] == "flat-out"
        assert interrupt(process) == (0, "", "")


def test_people_are_told_how_time_moves() -> None:
    with started("up", "--port-base", "0", "--factor", "2.5") as process:
        assert process.stdout is not None
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
        address = lines[0].split()[1]
        shown = "".join(lines)
        assert "Virtual time runs at 2.5 × real time; in another terminal:\n" in shown
        assert f"  smokestack clock --address {address}\n" in shown
        assert smokestack("clock", "--address", address).stdout.startswith("paced at 2.5 ×")
