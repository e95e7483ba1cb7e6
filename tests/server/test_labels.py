"""Labels of volumes and devices: kept, replaced, refused, and part of a stack's state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.labels import LABELS_MAX, VALUE_LENGTH_MAX, checked_labels
from smokestack.server.stack import Stack
from smokestack.v1 import array_pb2, multipath_pb2, snapshots_pb2
from tests.server.scenarios import small_scenario

VOLUME = "arrays/a1/volumes/v1"
DEVICE = "multipaths/m1/hosts/h1/devices/a1.v1"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(small_scenario(2)) as stack:
        yield stack


def label(stack: Stack, labels: dict[str, str], *mask: str) -> None:
    """Labels the volume and the device."""
    volume = array_pb2.UpdateVolumeRequest(volume=array_pb2.Volume(name=VOLUME, labels=labels))
    device = multipath_pb2.UpdateDeviceRequest(
        device=multipath_pb2.Device(name=DEVICE, labels=labels)
    )
    for request in (volume, device):
        request.update_mask.paths.extend(mask)
    stack.api.arrays["a1"].UpdateVolume(volume)
    stack.api.multipath.UpdateDevice(device)


def labels(stack: Stack) -> tuple[dict[str, str], dict[str, str]]:
    volume = stack.api.arrays["a1"].GetVolume(array_pb2.GetVolumeRequest(name=VOLUME))
    device = stack.api.multipath.GetDevice(multipath_pb2.GetDeviceRequest(name=DEVICE))
    return dict(volume.labels), dict(device.labels)


def test_labels_are_replaced_as_a_whole(stack: Stack) -> None:
    assert labels(stack) == ({}, {})
    label(stack, {"app": "db", "example.org/tier": ""})
    assert labels(stack) == ({"app": "db", "example.org/tier": ""},) * 2
    label(stack, {"app": "web"})
    assert labels(stack) == ({"app": "web"},) * 2
    label(stack, {}, "labels")
    assert labels(stack) == ({}, {})


def test_labels_go_back_with_a_snapshot_and_away_with_a_reset(stack: Stack) -> None:
    label(stack, {"app": "db"})
    stack.api.simulation.CreateSnapshot(snapshots_pb2.CreateSnapshotRequest(snapshot_id="s1"))
    label(stack, {"app": "web"})
    restore = snapshots_pb2.RestoreSnapshotRequest(name="snapshots/s1")
    stack.api.simulation.RestoreSnapshot(restore)
    assert labels(stack) == ({"app": "db"},) * 2
    stack.reset()
    assert labels(stack) == ({}, {})


def test_a_scenario_labels_its_volumes() -> None:
    scenario = small_scenario(2)
    scenario.arrays[0].volumes[0].labels["app"] = "db"
    with Stack(scenario) as stack:
        assert labels(stack)[0] == {"app": "db"}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"": "x"}, "1 to 128"),
        ({"-a": "x"}, "a letter or digit first"),
        ({"a b": "x"}, "1 to 128"),
        ({"a" * 129: "x"}, "1 to 128"),
        ({"a": "x" * (VALUE_LENGTH_MAX + 1)}, "up to 16384"),
        ({f"k{n}": "" for n in range(LABELS_MAX + 1)}, "up to 64"),
    ],
)
def test_labels_out_of_shape_are_refused(wrong: dict[str, str], right: str) -> None:
    with pytest.raises(InvalidArgument, match=right):
        checked_labels("volume.labels", wrong)


def test_a_refused_update_changes_nothing(stack: Stack) -> None:
    label(stack, {"app": "db"})
    with pytest.raises(InvalidArgument, match=r"volume\.labels"):
        label(stack, {"-": "x"})
    volume = array_pb2.Volume(name=VOLUME, capacity_bytes=512, labels={"app": "web"})
    with pytest.raises(InvalidArgument, match="only grows"):
        stack.api.arrays["a1"].UpdateVolume(array_pb2.UpdateVolumeRequest(volume=volume))
    assert labels(stack) == ({"app": "db"},) * 2
