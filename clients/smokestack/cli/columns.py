"""What a table shows of kinds that have more to tell than fits a line; `get` and JSON show all."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = {
    "port": (
        *("name", "controller", "fabric", "enabled", "link_up", "outstanding_count"),
        *("command_count", "task_set_full_count", "busy_count"),
    ),
    "controller": (
        *("name", "enabled", "state", "write_back", "write_through", "dirty_bytes"),
        *("read_hit_count", "read_miss_count", "busy_ns"),
    ),
    "pool": (
        *("name", "capacity_bytes", "allocated_bytes", "subscribed_bytes", "free_bytes", "state"),
        *("allocation_failure_count", "warning_count"),
    ),
    "volume": (
        *("name", "pool", "capacity_bytes", "allocated_bytes", "provisioning", "state", "owner"),
        *("response_count", "mean_response_ns"),
    ),
    "device": (
        *("name", "volume", "capacity_bytes", "lun", "state", "active_count", "queued_count"),
    ),
    "path": (
        *("name", "state", "enabled", "access_state", "in_flight_count", "io_count"),
        *("error_count", "refusal_count", "mean_response_ns"),
    ),
}
