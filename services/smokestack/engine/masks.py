"""Update masks: which fields an update is about, named by its mask or by what it sets."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .errors import InvalidArgument, Violation


def masked(mask: Iterable[str], present: Collection[str], mutable: Collection[str]) -> set[str]:
    """Returns the fields to update; refuses a mask that names others, and an update of nothing.

    ``present`` are the fields that the request's resource sets, which is what an absent mask means.
    """
    paths = list(mask)
    choice = ", ".join(mutable)
    if "*" in paths and len(paths) == 1:
        return set(mutable)
    wrong = [path for path in paths if path not in mutable]
    if wrong:
        description = f"cannot update {', '.join(wrong)}: use some of {choice}, or * for all"
        raise InvalidArgument(
            f"update_mask: {description}", violations=[Violation("update_mask", description)]
        )
    fields = set(paths) or {field for field in mutable if field in present}
    if not fields:
        raise InvalidArgument.at("update_mask", f"names nothing to update: use some of {choice}")
    return fields
