"""The containers run commands that the CLI knows, and Prometheus asks where they answer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from smokestack.cli.main import main
from tests.house import tree

ROOMS = ("array", "multipath", "hypervisor")


def loaded(name: str) -> Any:
    return yaml.safe_load(tree.text(Path("docker") / name))


def metrics_port(command: list[str]) -> str:
    [listen] = [word for word in command if word.startswith("--metrics-listen=")]
    return listen.rpartition(":")[2]


@pytest.mark.parametrize("room", ROOMS)
def test_the_cli_accepts_the_command(room: str) -> None:
    context = click.Context(main, info_name="smokestack")
    command: click.Command = main
    rest = list(loaded("compose.yaml")["services"][room]["command"])
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, name
        command = found
    parsed = command.make_context(command.name, rest, parent=context)  # refuses unknown options
    assert parsed.params


def test_prometheus_asks_where_the_services_answer() -> None:
    services = loaded("compose.yaml")["services"]
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in loaded("prometheus.yml")["scrape_configs"]
    }
    wanted = {room: [f"{room}:{metrics_port(services[room]['command'])}"] for room in ROOMS}
    assert targets == wanted


def test_what_the_containers_mount_is_there() -> None:
    for service in loaded("compose.yaml")["services"].values():
        for volume in service.get("volumes", []):
            assert (tree.ROOT / "docker" / volume.split(":")[0]).exists(), volume


def test_only_loopback_is_open_to_the_machine() -> None:
    for service in loaded("compose.yaml")["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.full
def test_prometheus_accepts_its_configuration() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "the full tier needs promtool, from Debian's package prometheus"
    config = tree.ROOT / "docker" / "prometheus.yml"
    done = subprocess.run([promtool, "check", "config", config], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
