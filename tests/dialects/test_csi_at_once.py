"""Several CSI plugins over one array, asked at the same time: each finds what the others did."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smokestack.csi.v1 import controller_pb2
from smokestack.dialects.csi import Plugin
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2
from tests.dialects.csi_client import capability
from tests.server.scenarios import small_scenario


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(small_scenario()) as stack:
        yield stack


def plugin_of(stack: Stack) -> Plugin:
    return Plugin(stack.api.arrays["a1"], "arrays/a1", stack.api.multipath)


def test_plugins_that_are_asked_at_once_make_one_volume(stack: Stack) -> None:
    def ask(_: int) -> tuple[str, str]:
        plugin = plugin_of(stack)
        request = controller_pb2.CreateVolumeRequest(
            name="pvc-1", volume_capabilities=[capability()]
        )
        volume = plugin.controller.CreateVolume(request).volume
        publish = controller_pb2.ControllerPublishVolumeRequest(
            volume_id=volume.volume_id, node_id="h1", volume_capability=capability()
        )
        context = plugin.controller.ControllerPublishVolume(publish).publish_context
        return volume.volume_id, context["lun"]

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(40))) == {("arrays/a1/volumes/pvc-1", "1")}


def test_what_another_plugin_publishes_to_the_node_meanwhile_is_no_obstacle(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = plugin_of(stack).controller, plugin_of(stack).controller
    request = controller_pb2.CreateVolumeRequest(name="p", volume_capabilities=[capability()])
    publish = controller_pb2.ControllerPublishVolumeRequest(
        volume_id=first.CreateVolume(request).volume.volume_id,
        node_id="h1",
        volume_capability=capability(),
    )
    look, published = second._storage.export, []

    def overtaken(volume: array_pb2.Volume, host_id: str) -> array_pb2.Export | None:
        found = look(volume, host_id)
        if not published:
            published.append(first.ControllerPublishVolume(publish))
        return found

    monkeypatch.setattr(second._storage, "export", overtaken)
    assert [second.ControllerPublishVolume(publish)] == published
