"""Where a node uses a volume: its mount table, kept in the device's labels.

In real life the kernel has it.  Here it goes with the device: a rescan that finds the volume gone
takes it along, and a snapshot or a reset of the stack includes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from smokestack.csi.v1 import types_pb2 as types
from smokestack.engine.errors import AlreadyExists, FailedPrecondition

from .capabilities import for_several_targets
from .names import MOUNTS_LABEL

_MODE: Final = types.VolumeCapability.AccessMode.Mode


@dataclass(frozen=True)
class Mount:
    """One path at which a volume is staged or published."""

    path: str
    staged: bool
    access: str  # "block" or "mount"
    mode: str  # e.g. "SINGLE_NODE_WRITER"
    fs_type: str = ""
    readonly: bool = False

    @classmethod
    def of(
        cls,
        path: str,
        capability: types.VolumeCapability,
        *,
        staged: bool = False,
        readonly: bool = False,
    ) -> Mount:
        """Returns what a request asks for."""
        return cls(
            path=path,
            staged=staged,
            access=capability.WhichOneof("access_type") or "",
            mode=_MODE.Name(capability.access_mode.mode),
            fs_type=capability.mount.fs_type,
            readonly=readonly,
        )

    @property
    def used_as(self) -> tuple[str, str, str]:
        """What staging and publishing have to agree in."""
        return self.access, self.mode, self.fs_type


class Mounts:
    """The paths of one device."""

    def __init__(self, device: str, labels: Mapping[str, str]) -> None:
        self._device = device
        self._labels = dict(labels)
        kept = json.loads(self._labels.get(MOUNTS_LABEL, "[]"))
        self._mounts = [Mount(**mount) for mount in kept]

    def labels(self) -> dict[str, str]:
        """Returns the device's labels with these paths in them."""
        labels = {key: text for key, text in self._labels.items() if key != MOUNTS_LABEL}
        if self._mounts:
            labels[MOUNTS_LABEL] = json.dumps([asdict(mount) for mount in self._mounts])
        return labels

    def at(self, path: str) -> Mount | None:
        """Returns what is at a path."""
        return next((mount for mount in self._mounts if mount.path == path), None)

    def add(self, mount: Mount) -> None:
        """Adds a path, or finds it there already; refuses what does not go together."""
        there = self.at(mount.path)
        if there is not None and there != mount:
            raise AlreadyExists(
                f"{self._device} is used at {mount.path} as {_text(there)}: end that first, or "
                "ask for the same",
                reason="MOUNT_DIFFERS",
                resource=self._device,
            )
        if there is None:
            self._mounts.append(mount)

    def remove(self, path: str, *, staged: bool) -> None:
        """Forgets a path, if there is one."""
        self._mounts = [m for m in self._mounts if (m.path, m.staged) != (path, staged)]

    def check_publish(
        self, mount: Mount, staging_path: str, capability: types.VolumeCapability
    ) -> None:
        """Refuses to publish what is not staged, or at one target more than its mode allows."""
        staged = self.at(staging_path)
        if staged is None or not staged.staged:
            raise FailedPrecondition(
                f"{self._device} is not staged at {staging_path!r}: call NodeStageVolume first",
                reason="NOT_STAGED",
                resource=self._device,
            )
        if self.at(mount.path) is not None:
            return
        others = [m for m in self._mounts if not m.staged]
        if mount.used_as != staged.used_as:
            raise FailedPrecondition(
                f"{self._device} is staged as {_text(staged)}, not as {_text(mount)}",
                reason="CAPABILITY_DIFFERS",
                resource=self._device,
            )
        if others and not for_several_targets(capability):
            raise FailedPrecondition(
                f"{self._device} is published at {others[0].path}, and {mount.mode} allows one "
                "target: unpublish it there",
                reason="PUBLISHED_ELSEWHERE",
                resource=self._device,
            )


def _text(mount: Mount) -> str:
    read = ", only read" if mount.readonly else ""
    return " ".join(part for part in (mount.fs_type, mount.access, mount.mode) if part) + read
