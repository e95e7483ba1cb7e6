"""The wire of groups of drives: the part of ArrayService that is about them."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2

from smokestack.engine.masks import masked
from smokestack.engine.messages import given, member, present, settings
from smokestack.v1 import array_pb2 as pb

from .names import DRIVE_GROUP
from .shared_service import Handlers
from .specs import DriveGroupSpec, MediaKind


class DriveHandlers(Handlers):
    """Handlers of groups of drives; what all kinds share, the service has."""

    def CreateDriveGroup(
        self, request: pb.CreateDriveGroupRequest, context: Any = None
    ) -> pb.DriveGroup:
        def create() -> pb.DriveGroup:
            asked, default = request.drive_group, DriveGroupSpec.media_kind
            fields = {"drive_count": 0, "drive_bytes": 0, **given(asked, DriveGroupSpec)}
            kind = member(MediaKind, asked.media_kind, "drive_group.media_kind", default)
            spec = DriveGroupSpec(request.drive_group_id, **fields | {"media_kind": kind})
            self._model.drives.create(spec)
            return self._drive_group(spec.group_id)

        return self._create(request.parent, request, create)

    def GetDriveGroup(self, request: pb.GetDriveGroupRequest, context: Any = None) -> pb.DriveGroup:
        return self._get(DRIVE_GROUP, request.name, self._drive_group)

    def ListDriveGroups(
        self, request: pb.ListDriveGroupsRequest, context: Any = None
    ) -> pb.ListDriveGroupsResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.drive_groups, "drive_groups")
            return pb.ListDriveGroupsResponse(
                drive_groups=map(self._drive_group, found), next_page_token=token
            )

    def UpdateDriveGroup(
        self, request: pb.UpdateDriveGroupRequest, context: Any = None
    ) -> pb.DriveGroup:
        group_id = self._check_array(DRIVE_GROUP, request.drive_group.name, "drive_group.name")

        def update() -> pb.DriveGroup:
            masked(request.update_mask.paths, present(request.drive_group), ("drive_count",))
            self._model.drives.resize(group_id, request.drive_group.drive_count)
            return self._drive_group(group_id)

        return self._requests.change(request, update)

    def DeleteDriveGroup(
        self, request: pb.DeleteDriveGroupRequest, context: Any = None
    ) -> empty_pb2.Empty:
        return self._delete(DRIVE_GROUP, request, self._model.drives.delete)

    def _drive_group(self, group_id: str) -> pb.DriveGroup:
        name, spec = self._found(DRIVE_GROUP, group_id, self._model.drive_groups, group_id)
        return pb.DriveGroup(
            name=name,
            raw_bytes=spec.raw_bytes,
            raw_free_bytes=self._model.drives.free_of(group_id),
            **settings(spec, "group_id"),
        )
