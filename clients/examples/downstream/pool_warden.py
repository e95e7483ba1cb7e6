"""Warns before a thin pool runs dry."""

from __future__ import annotations

import sys

from smokestack.client import connect


def warnings(address: str, threshold: float = 0.9) -> list[str]:
    """Returns a line for each pool that is fuller than the threshold."""
    with connect(address) as stack:
        return [
            f"{pool.name} is {pool.allocated_bytes / pool.capacity_bytes:.1%} full"
            for array in stack.arrays.values()
            for pool in array.pools
            if pool.allocated_bytes > threshold * pool.capacity_bytes
        ]


if __name__ == "__main__":
    found = warnings(sys.argv[1])
    print("\n".join(found) or "all pools have space")
    sys.exit(bool(found))
