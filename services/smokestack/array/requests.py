"""Messages to specs: what a message does not set keeps the spec's default."""

from __future__ import annotations

from typing import Any

from smokestack.engine.messages import given, member

from .specs import ArrayHostSpec, InitiatorSpec, MediaDistribution, PoolSpec, PortSpec


def port_spec(port_id: str, controller_id: str, message: Any, partner: str = "") -> PortSpec:
    """Returns what a Port message describes."""
    fields = {"fabric": "", **given(message, PortSpec), "partner": partner}
    return PortSpec(port_id, controller_id, **fields)


def pool_spec(pool_id: str, message: Any) -> PoolSpec:
    """Returns what a Pool message describes."""
    distribution = member(
        MediaDistribution,
        message.media_distribution,
        "pool.media_distribution",
        PoolSpec.media_distribution,
    )
    fields = given(message, PoolSpec) | {"media_distribution": distribution}
    return PoolSpec(pool_id, **{"capacity_bytes": 0} | fields)


def host_spec(host_id: str, message: Any) -> ArrayHostSpec:
    """Returns what an ArrayHost message describes."""
    initiators = tuple(InitiatorSpec(i.name, i.fabric) for i in message.initiators)
    return ArrayHostSpec(host_id, initiators)
