"""The forms of the names of what an array has."""

from __future__ import annotations

from typing import Final

from smokestack.engine.names import NameForm

ARRAY: Final = NameForm("arrays/a1")
CONTROLLER: Final = NameForm("arrays/a1/controllers/c0")
PORT: Final = NameForm("arrays/a1/ports/p0")
PORT_SET: Final = NameForm("arrays/a1/portSets/ps1")
DRIVE_GROUP: Final = NameForm("arrays/a1/driveGroups/g1")
POOL: Final = NameForm("arrays/a1/pools/p1")
VOLUME: Final = NameForm("arrays/a1/volumes/v1")
SNAPSHOT: Final = NameForm("arrays/a1/snapshots/s1")
HOST: Final = NameForm("arrays/a1/hosts/h1")
HOST_SET: Final = NameForm("arrays/a1/hostSets/hs1")
EXPORT: Final = NameForm("arrays/a1/exports/v1.h1")
SET_EXPORT: Final = NameForm("arrays/a1/setExports/v1.hs1")
