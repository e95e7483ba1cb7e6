"""Pages of a list: a token says where the next page starts, whatever is created or deleted since.

A token holds the last key of its page and a mark of the list that it belongs to, so that a token of
another list is refused instead of answered with nonsense.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from bisect import bisect_right
from collections.abc import Iterable

from .errors import InvalidArgument

PAGE_SIZE_DEFAULT = 1_000
PAGE_SIZE_MAX = 10_000


def page(
    keys: Iterable[str], page_size: int, page_token: str, listing: str
) -> tuple[list[str], str]:
    """Returns one page of the keys in order, and the next page's token, empty on the last one.

    ``listing`` names the list, e.g. its method and parent.
    """
    if page_size < 0:
        raise InvalidArgument.at(
            "page_size", f"{page_size} is negative: use 1 to {PAGE_SIZE_MAX}, or 0 for the default"
        )
    size = min(page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
    ordered = sorted(keys)
    start = bisect_right(ordered, _last_key(page_token, listing)) if page_token else 0
    found = ordered[start : start + size]
    more = start + size < len(ordered)
    return found, _token(listing, found[-1]) if more else ""


def _token(listing: str, last: str) -> str:
    return base64.urlsafe_b64encode(f"{_mark(listing)} {last}".encode()).decode()


def _last_key(page_token: str, listing: str) -> str:
    try:
        mark, last = base64.urlsafe_b64decode(page_token.encode()).decode().split(" ", 1)
    except (binascii.Error, ValueError):
        mark, last = "", ""
    if mark != _mark(listing):
        raise InvalidArgument.at(
            "page_token", "is not a next_page_token of this list: start again without one"
        )
    return last


def _mark(listing: str) -> str:
    return f"{zlib.crc32(listing.encode()):08x}"
