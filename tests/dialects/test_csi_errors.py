"""CSI's error tables, row by row: each condition has the code that the specification gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from smokestack.csi.v1 import controller_pb2, node_pb2
from smokestack.dialects.csi import Plugin
from smokestack.dialects.csi.hosts import Hosts
from smokestack.engine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, Refused
from smokestack.server.stack import Stack
from tests.server.scenarios import small_scenario

V1 = "arrays/a1/volumes/v1"  # on h1
V2 = "arrays/a1/volumes/v2"  # on h2
GONE = "arrays/a1/volumes/gone"
MOUNT = {"mount": {}, "access_mode": {"mode": "SINGLE_NODE_WRITER"}}
SHARED = {"mount": {}, "access_mode": {"mode": "MULTI_NODE_MULTI_WRITER"}}
NEW = {"name": "n", "volume_capabilities": [MOUNT]}
PUBLISH = {"volume_id": V1, "node_id": "h1", "volume_capability": MOUNT}
STAGE = {"volume_id": V1, "staging_target_path": "/s", "volume_capability": MOUNT}
TARGET = {**STAGE, "target_path": "/t"}
GROWN = {"volume_id": V1, "capacity_range": {"required_bytes": 2 << 30}}

# Method, request, code, and a word of the message.
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("CreateVolume", {**NEW, "name": ""}, "INVALID_ARGUMENT", "name: is missing"),
    ("CreateVolume", {**NEW, "name": "x" * 129}, "INVALID_ARGUMENT", "128 bytes"),
    ("CreateVolume", {**NEW, "name": "a\0"}, "INVALID_ARGUMENT", "control characters"),
    ("CreateVolume", {"name": "n"}, "INVALID_ARGUMENT", "at least one"),
    ("CreateVolume", {**NEW, "volume_capabilities": [{}]}, "INVALID_ARGUMENT", "access type"),
    (
        "CreateVolume",
        {**NEW, "volume_capabilities": [{"mount": {}}]},
        "INVALID_ARGUMENT",
        "is none of SINGLE_NODE_WRITER",
    ),
    ("CreateVolume", {**NEW, "volume_capabilities": [SHARED]}, "INVALID_ARGUMENT", "file system"),
    (
        "CreateVolume",
        {**NEW, "volume_capabilities": [{**MOUNT, "mount": {"volume_mount_group": "1000"}}]},
        "INVALID_ARGUMENT",
        "volume_mount_group",
    ),
    ("CreateVolume", {**NEW, "parameters": {"pol": "p1"}}, "INVALID_ARGUMENT", "use pool"),
    ("CreateVolume", {**NEW, "parameters": {"pool": "p9"}}, "INVALID_ARGUMENT", "none of p1"),
    ("CreateVolume", {**NEW, "mutable_parameters": {"iops": "1"}}, "INVALID_ARGUMENT", "selector"),
    ("CreateVolume", {**NEW, "capacity_range": {"required_bytes": -1}}, "INVALID_ARGUMENT", "neg"),
    ("CreateVolume", {**NEW, "capacity_range": {"required_bytes": 1 << 51}}, "OUT_OF_RANGE", "to"),
    (
        "CreateVolume",
        {**NEW, "capacity_range": {"required_bytes": 513, "limit_bytes": 600}},
        "OUT_OF_RANGE",
        "whole blocks",
    ),
    (
        "CreateVolume",
        {**NEW, "capacity_range": {"required_bytes": 2, "limit_bytes": 1}},
        "OUT_OF_RANGE",
        "no size",
    ),
    ("CreateVolume", {**NEW, "name": "v1"}, "ALREADY_EXISTS", "another name"),
    ("DeleteVolume", {}, "INVALID_ARGUMENT", "volume_id"),
    ("DeleteVolume", {"volume_id": V1}, "FAILED_PRECONDITION", "exports to hosts h1"),
    ("ControllerPublishVolume", {**PUBLISH, "volume_id": ""}, "INVALID_ARGUMENT", "volume_id"),
    ("ControllerPublishVolume", {**PUBLISH, "node_id": ""}, "INVALID_ARGUMENT", "node_id"),
    ("ControllerPublishVolume", {"volume_id": V1, "node_id": "h1"}, "INVALID_ARGUMENT", "used"),
    ("ControllerPublishVolume", {**PUBLISH, "volume_id": GONE}, "NOT_FOUND", "is no volume"),
    ("ControllerPublishVolume", {**PUBLISH, "volume_id": "X"}, "NOT_FOUND", "is no volume"),
    ("ControllerPublishVolume", {**PUBLISH, "node_id": "h9"}, "NOT_FOUND", "node 'h9'"),
    ("ControllerPublishVolume", {**PUBLISH, "node_id": "X Y"}, "NOT_FOUND", "node 'X Y'"),
    ("ControllerPublishVolume", {**PUBLISH, "volume_id": V2}, "FAILED_PRECONDITION", "node h2"),
    ("ControllerUnpublishVolume", {}, "INVALID_ARGUMENT", "volume_id"),
    ("ValidateVolumeCapabilities", {"volume_id": V1}, "INVALID_ARGUMENT", "at least one"),
    (
        "ValidateVolumeCapabilities",
        {"volume_id": GONE, "volume_capabilities": [MOUNT]},
        "NOT_FOUND",
        "is no volume",
    ),
    ("ListVolumes", {"starting_token": "x"}, "ABORTED", "begin without one"),
    ("ControllerListVolumeHealth", {"starting_token": "x"}, "ABORTED", "begin without one"),
    ("ControllerGetVolume", {}, "INVALID_ARGUMENT", "volume_id"),
    ("ControllerGetVolume", {"volume_id": GONE}, "NOT_FOUND", "is no volume"),
    ("ControllerGetVolumeHealth", {"volume_id": GONE}, "NOT_FOUND", "is no volume"),
    ("ControllerModifyVolume", {"volume_id": GONE}, "NOT_FOUND", "is no volume"),
    ("ControllerExpandVolume", {"volume_id": V1}, "INVALID_ARGUMENT", "capacity_range"),
    ("ControllerExpandVolume", {**GROWN, "volume_id": GONE}, "NOT_FOUND", "is no volume"),
    ("ControllerExpandVolume", {**GROWN, "volume_capability": SHARED}, "INVALID_ARGUMENT", "file"),
    ("NodeStageVolume", {**STAGE, "volume_id": ""}, "INVALID_ARGUMENT", "volume_id"),
    ("NodeStageVolume", {**STAGE, "staging_target_path": ""}, "INVALID_ARGUMENT", "staging"),
    ("NodeStageVolume", {**STAGE, "staging_target_path": "s"}, "INVALID_ARGUMENT", "absolute"),
    ("NodeStageVolume", {**STAGE, "volume_id": GONE}, "NOT_FOUND", "is no volume"),
    ("NodeStageVolume", {**STAGE, "volume_id": V2}, "FAILED_PRECONDITION", "does not see"),
    ("NodeStageVolume", {**STAGE, "volume_capability": SHARED}, "FAILED_PRECONDITION", "file"),
    ("NodeUnstageVolume", {"volume_id": V1}, "INVALID_ARGUMENT", "staging_target_path"),
    ("NodePublishVolume", {**TARGET, "target_path": ""}, "INVALID_ARGUMENT", "target_path"),
    ("NodePublishVolume", {**TARGET, "volume_id": GONE}, "NOT_FOUND", "is no volume"),
    ("NodePublishVolume", {**TARGET, "staging_target_path": ""}, "FAILED_PRECONDITION", "stage"),
    ("NodePublishVolume", TARGET, "FAILED_PRECONDITION", "is not staged"),
    ("NodeUnpublishVolume", {"volume_id": V1}, "INVALID_ARGUMENT", "target_path"),
    ("NodeGetVolumeStats", {"volume_id": V1}, "INVALID_ARGUMENT", "volume_path"),
    ("NodeGetVolumeStats", {"volume_id": V1, "volume_path": "/t"}, "NOT_FOUND", "not used at"),
    ("NodeGetVolumeStats", {"volume_id": GONE, "volume_path": "/t"}, "NOT_FOUND", "has no volume"),
    ("NodeExpandVolume", {"volume_id": V1, "volume_path": "/t"}, "NOT_FOUND", "not used at"),
    ("NodeGetVolumeHealth", {"volume_id": V2}, "NOT_FOUND", "node h1 has no volume"),
]


@pytest.fixture(scope="module")
def plugin() -> Any:
    with Stack(small_scenario()) as stack:
        yield Plugin(stack.api.arrays["a1"], "arrays/a1", stack.api.multipath)


def call(plugin: Plugin, method: str, request: dict[str, Any]) -> Any:
    node = method.startswith("Node")
    message = getattr(node_pb2 if node else controller_pb2, f"{method}Request")()
    handler = getattr(plugin.node if node else plugin.controller, method)
    return handler(ParseDict(request, message))


@pytest.mark.parametrize(("method", "request_", "code", "word"), REFUSED)
def test_a_condition_has_its_code(
    plugin: Plugin, method: str, request_: dict[str, Any], code: str, word: str
) -> None:
    with pytest.raises(Refused) as caught:
        call(plugin, method, request_)
    assert caught.value.code == code
    assert word in caught.value.message


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("DeleteVolume", {"volume_id": GONE}),
        ("DeleteVolume", {"volume_id": "no name at all"}),
        ("ControllerUnpublishVolume", {"volume_id": GONE, "node_id": "h1"}),
        ("ControllerUnpublishVolume", {"volume_id": V1, "node_id": "h9"}),
        ("NodeUnstageVolume", {"volume_id": GONE, "staging_target_path": "/s"}),
        ("NodeUnpublishVolume", {"volume_id": V1, "target_path": "/nothing/is/there"}),
    ],
)
def test_what_is_gone_already_is_done(
    plugin: Plugin, method: str, request_: dict[str, Any]
) -> None:
    assert call(plugin, method, request_).ByteSize() == 0  # an empty answer: it is so


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"volume_capabilities": [SHARED]}, "file system"),
        ({"volume_capabilities": [MOUNT], "parameters": {"x": ""}}, "no setting"),
        ({"volume_capabilities": [MOUNT], "mutable_parameters": {"x": ""}}, "no setting"),
        ({"volume_capabilities": [MOUNT], "parameters": {"pool": "p1"}}, ""),
    ],
)
def test_what_a_volume_cannot_be_is_said_and_not_confirmed(
    plugin: Plugin, request_: dict[str, Any], why: str
) -> None:
    answer = call(plugin, "ValidateVolumeCapabilities", {"volume_id": V1, **request_})
    assert answer.HasField("confirmed") == (not why)
    assert why in answer.message


def test_what_cannot_be_published_is_refused_before_anything_is_rescanned(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescans: list[str] = []
    known = Hosts.rescan
    shared = {"mount": {}, "access_mode": {"mode": "SINGLE_NODE_MULTI_WRITER"}}
    stage = {**STAGE, "volume_capability": shared}
    publish = {**stage, "target_path": f"{tmp_path}/target"}

    def rescan(hosts: Hosts, host_id: str) -> None:
        rescans.append(host_id)
        known(hosts, host_id)

    monkeypatch.setattr(Hosts, "rescan", rescan)
    for request, why in (
        ({**publish, "volume_id": V2}, "is not staged"),
        ({**publish, "staging_target_path": "/other"}, "is not staged"),
    ):
        with pytest.raises(FailedPrecondition, match=why):
            call(plugin, "NodePublishVolume", request)
    assert rescans == []
    call(plugin, "NodeStageVolume", stage)
    del rescans[:]
    with pytest.raises(FailedPrecondition, match="is staged as"):
        call(plugin, "NodePublishVolume", {**publish, "volume_capability": MOUNT})
    with pytest.raises(InvalidArgument, match="cannot be made"):
        call(plugin, "NodePublishVolume", {**publish, "target_path": f"{tmp_path}/no/target"})
    with pytest.raises(AlreadyExists, match="is used at"):
        call(plugin, "NodeStageVolume", STAGE)
    assert (rescans, list(tmp_path.iterdir())) == ([], [])
    call(plugin, "NodePublishVolume", publish)
    assert (rescans, list(tmp_path.iterdir())) == (["h1"], [tmp_path / "target"])
    call(plugin, "NodeUnpublishVolume", {"volume_id": V1, "target_path": f"{tmp_path}/target"})
    call(plugin, "NodeUnstageVolume", {"volume_id": V1, "staging_target_path": "/s"})
