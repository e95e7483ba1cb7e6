"""What a volume may be asked to be: each is a thin LUN, which can be all of it but shared files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smokestack.csi.v1 import types_pb2 as types
from smokestack.engine.errors import InvalidArgument

_MODE = types.VolumeCapability.AccessMode.Mode
_ONE_NODE: Final = (
    _MODE.SINGLE_NODE_WRITER,
    _MODE.SINGLE_NODE_READER_ONLY,
    _MODE.SINGLE_NODE_SINGLE_WRITER,
    _MODE.SINGLE_NODE_MULTI_WRITER,
)
_SHARED_WRITING: Final = (_MODE.MULTI_NODE_SINGLE_WRITER, _MODE.MULTI_NODE_MULTI_WRITER)


def check_given(capabilities: Sequence[types.VolumeCapability], field: str) -> None:
    """Refuses a call without capabilities, or with one that says too little."""
    if not capabilities:
        raise InvalidArgument.at(field, "is missing: give at least one")
    for index, capability in enumerate(capabilities):
        check_complete(capability, f"{field}[{index}]")


def check_complete(capability: types.VolumeCapability, field: str) -> None:
    """Refuses a capability that does not say as what, or by whom, a volume is used."""
    if capability.WhichOneof("access_type") is None:
        raise InvalidArgument.at(field, "has no access type: give block or mount")
    mode = capability.access_mode.mode
    if mode not in _MODE.values() or mode == _MODE.UNKNOWN:
        raise InvalidArgument.at(
            f"{field}.access_mode.mode", f"{mode} is none of {', '.join(_MODE.keys()[1:])}"
        )


def check_supported(capabilities: Sequence[types.VolumeCapability], field: str) -> None:
    """Refuses capabilities that no volume has."""
    for index, capability in enumerate(capabilities):
        wrong = unsupported(capability)
        if wrong:
            raise InvalidArgument.at(f"{field}[{index}]", wrong)


def unsupported(capability: types.VolumeCapability) -> str:
    """Returns why no volume can be used like this; empty: every one can."""
    mode = capability.access_mode.mode
    if capability.HasField("mount") and mode in _SHARED_WRITING:
        return (
            f"a file system cannot be used as {_MODE.Name(mode)}: use block, or a mode in which "
            "several nodes only read"
        )
    if capability.mount.volume_mount_group:
        return "volume_mount_group is not supported: leave it out"
    return ""


def for_one_node(capability: types.VolumeCapability) -> bool:
    """Whether a volume that is used like this is on one node only."""
    return capability.access_mode.mode in _ONE_NODE


def for_several_targets(capability: types.VolumeCapability) -> bool:
    """Whether one node may use it at several target paths."""
    mode = capability.access_mode.mode
    return mode == _MODE.SINGLE_NODE_MULTI_WRITER or mode not in _ONE_NODE
