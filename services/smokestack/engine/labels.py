"""Labels: words that callers keep with a resource, and that nothing simulated looks at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .errors import InvalidArgument

LABELS_MAX: Final = 64
VALUE_LENGTH_MAX: Final = 16_384
_KEY: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?")

Labels = tuple[tuple[str, str], ...]  # sorted by key, so that equal ones are equal


def checked_labels(field: str, labels: Mapping[str, str]) -> Labels:
    """Returns labels as they are kept; refuses too many, and keys and values out of shape."""
    if not labels:
        return ()
    if len(labels) > LABELS_MAX:
        raise InvalidArgument.at(field, f"has {len(labels)} labels: use up to {LABELS_MAX}")
    for key, value in sorted(labels.items()):
        if not _KEY.fullmatch(key):
            raise InvalidArgument.at(
                f"{field}[{key!r:.140}]",
                "is no key: use 1 to 128 letters, digits, dots, hyphens, underscores and slashes, "
                "a letter or digit first and last",
            )
        if len(value) > VALUE_LENGTH_MAX:
            raise InvalidArgument.at(
                f"{field}[{key!r}]",
                f"has {len(value)} characters: use up to {VALUE_LENGTH_MAX}",
            )
    return tuple(sorted(labels.items()))
