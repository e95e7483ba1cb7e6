"""What CSI calls things, and what smokestack calls them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from smokestack.engine.checks import identifier
from smokestack.engine.errors import InvalidArgument

PLUGIN_NAME: Final = "csi.smokestack"
HOST_KEY: Final = f"{PLUGIN_NAME}/host"  # of topology
NAME_LABEL: Final = f"{PLUGIN_NAME}/name"  # of volumes and snapshots: what was asked for
GROUP_LABEL: Final = f"{PLUGIN_NAME}/group"  # of a snapshot: what it was taken together with
MOUNTS_LABEL: Final = f"{PLUGIN_NAME}/mounts"  # of a device: where its node uses it

_SLUG_LENGTH_MAX: Final = 46  # with a hyphen and 16 digits of a hash: 63
_BANNED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
NAME_BYTES_MAX: Final = 128


def check_name(field: str, name: str) -> None:
    """Refuses what CSI takes for no name."""
    if not name:
        raise InvalidArgument.at(field, "is missing: give a name")
    if len(name.encode()) > NAME_BYTES_MAX:
        raise InvalidArgument.at(field, f"has more than {NAME_BYTES_MAX} bytes")
    if _BANNED.search(name):
        raise InvalidArgument.at(field, "has control characters: leave them out")


def identifier_of(name: str) -> str:
    """Returns the identifier for a name: itself if it can be one, else what two never share."""
    try:
        identifier("name", name)
        return name
    except InvalidArgument:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        slug = slug if slug[:1].isalpha() else f"v-{slug}"
        digits = hashlib.sha256(name.encode()).hexdigest()[:16]
        return f"{slug[:_SLUG_LENGTH_MAX].strip('-')}-{digits}"


def last(name: str) -> str:
    """Returns the identifier that a full name ends with."""
    return name.rpartition("/")[2]


def required(field: str, value: str, example: str) -> None:
    """Refuses a field that is empty."""
    if not value:
        raise InvalidArgument.at(field, f"is missing: give one, e.g. {example}")


def check_volume_id(volume_id: str, field: str = "volume_id") -> None:
    """Refuses a call that names no volume."""
    required(field, volume_id, "arrays/a1/volumes/v1")
