"""Policies that an array's way of access forbids: Fixed where a command pulls a volume over.

An active/passive array without ALUA serves a volume by one side, and the first command by the
other pulls it over (a trespass).  Fixed uses its preferred path whatever the array says, so two
hosts that prefer different sides pull the volume to and fro (FACTS 2.1).  No other policy uses a
passive path while there is a better one.  A path that its array says is passive tells such a one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine.errors import FailedPrecondition
from smokestack.engine.records import AccessState

from .claims import claimed
from .specs import MultipathHostSpec, Selector

if TYPE_CHECKING:
    from .inventory import Device
    from .state import MultipathState

INSTEAD: Final = Selector.MOST_RECENTLY_USED  # what NMP gives active/passive arrays: FACTS 2.1


def forbidden(state: MultipathState, spec: MultipathHostSpec, device: Device) -> bool:
    """Returns whether a device of a host may not have Fixed, as its paths are known now."""
    if spec.allow_thrashing:
        return False
    return _has_passive(state["path"]["access"], (path.row for path in device.paths.values()))


def check_policy(
    state: MultipathState, spec: MultipathHostSpec, device: Device, selector: Selector
) -> None:
    """Refuses a policy that somebody asks for and the device's array forbids."""
    if selector is Selector.FIXED and forbidden(state, spec, device):
        raise FailedPrecondition(
            f"device {device.name} of host {device.host_id} lies on an active/passive array, whose "
            "volumes FIXED may pull to and fro: use another policy, such as "
            f"{INSTEAD.name}, or set the host's allow_thrashing",
            reason="ACTIVE_PASSIVE",
        )


def policy_of(state: MultipathState, spec: MultipathHostSpec, device: Device) -> Selector:
    """Returns what a device gets by its host's rules, INSTEAD where that is forbidden."""
    policy = claimed(spec, device.vendor, device.model, device.array_id)
    return INSTEAD if policy is Selector.FIXED and forbidden(state, spec, device) else policy


def fit_policy(state: MultipathState, spec: MultipathHostSpec, device: Device) -> None:
    """Takes Fixed from a device that may not have it any more, or never might."""
    row = state["device"][device.row]
    if not forbidden(state, spec, device):
        return
    if device.claimed is Selector.FIXED:
        device.claimed = INSTEAD
    if row["selector"] == Selector.FIXED:
        row["selector"] = int(INSTEAD)
        state.kernel.hand_over(device.row)


def _has_passive(access: Any, rows: Iterable[int]) -> bool:
    return any(access[row] == AccessState.PASSIVE for row in rows)
