"""Target paths: an empty directory for a mount, a file that names the device for a block volume.

Made and removed only for callers on this machine, and only what we have made.  Nothing is mounted:
I/O goes through smokestack's own API.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, Final

from smokestack.engine.errors import InvalidArgument

_PATH_BYTES_MAX: Final = 4096
_DEVICE = re.compile(rb"multipaths/[a-z0-9-]+/hosts/[a-z0-9-]+/devices/[a-z0-9.-]+\n")
_LOCAL = re.compile(r"unix:.*|ipv4:127\..*|ipv6:(\[|%5B)::1(\]|%5D):.*")


def is_local(context: Any) -> bool:
    """Whether a call comes from this machine: from another one, a path here means nothing."""
    return context is None or _LOCAL.fullmatch(context.peer()) is not None


def check_path(field: str, path: str) -> None:
    """Refuses what is no absolute path."""
    if not path:
        raise InvalidArgument.at(field, "is missing: give an absolute path")
    if not os.path.isabs(path) or "\0" in path or len(os.fsencode(path)) > _PATH_BYTES_MAX:
        raise InvalidArgument.at(
            field, f"{path!r:.120} is no absolute path of up to {_PATH_BYTES_MAX} bytes"
        )


def make(path: str, access: str, device: str) -> bool:
    """Makes a target, or leaves it as it is if it is one; returns whether it was made."""
    try:
        if access == "mount":
            if _is(path, stat.S_ISDIR):
                return False
            os.mkdir(path, 0o750)
        else:
            if _is(path, stat.S_ISREG):
                return False
            with open(path, "x", encoding="ascii") as file:
                file.write(f"{device}\n")
    except OSError as error:
        raise _refused(path, "cannot be made", error) from None
    return True


def remove(path: str) -> None:
    """Removes a target, if it is there; refuses what we have not made."""
    try:
        if _is(path, stat.S_ISDIR):
            os.rmdir(path)
        elif _is(path, stat.S_ISREG) and _DEVICE.fullmatch(Path(path).read_bytes()[:512]):
            os.unlink(path)
        elif os.path.lexists(path):
            raise InvalidArgument.at(
                "target_path", f"{path} is nothing that was published: it stays as it is"
            )
    except OSError as error:
        raise _refused(path, "cannot be removed", error) from None


def _is(path: str, kind: Any) -> bool:
    """Whether something of a kind is at a path; a link is never followed."""
    try:
        return bool(kind(os.lstat(path).st_mode))
    except FileNotFoundError:
        return False


def _refused(path: str, what: str, error: OSError) -> InvalidArgument:
    return InvalidArgument.at("target_path", f"{path} {what}: {error.strerror or error}")
