"""Asymmetric access in plain Python: which controller owns a volume, and what others do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smokestack.array.specs import Access, AccessSpec
from smokestack.engine.records import AccessState, Attention, Flag, Op, Sense
from tests.reference.stations import Command, Controller, Itl, Port, Volume

_OTHERS = {
    Access.ALUA: AccessState.NON_OPTIMIZED,
    Access.STANDBY: AccessState.STANDBY,
    Access.UNAVAILABLE: AccessState.UNAVAILABLE,
    Access.ACTIVE_PASSIVE: AccessState.PASSIVE,
}
_SENSES = {
    AccessState.TRANSITIONING: Sense.TRANSITION,
    AccessState.STANDBY: Sense.STANDBY,
    AccessState.UNAVAILABLE: Sense.UNAVAILABLE,
}
TELLING = (*_SENSES.values(), Attention.ACCESS_CHANGED.sense, Attention.TRANSITION_FAILED.sense)


class Ownership:
    """The owners of one array's volumes."""

    def __init__(
        self,
        spec: AccessSpec,
        controllers: dict[str, Controller],
        tell: Callable[[Volume, Attention], None],
    ) -> None:
        self.spec = spec
        self.asymmetric = spec.access is not Access.SYMMETRIC
        self._controllers = controllers
        self._tell = tell

    def own(self, volume: Volume, controller_id: str) -> None:
        """Gives a volume its owner."""
        if self.asymmetric:
            volume.wanted = self._controllers[controller_id or min(self._controllers)]
            volume.owner = volume.wanted

    def state(self, volume: Volume, port: Port, now: int) -> AccessState:
        """How a volume is served through a port, whoever carries it."""
        if not self.asymmetric:
            return AccessState.UNKNOWN
        if now < volume.moving_until:
            return AccessState.TRANSITIONING
        return self.of(volume.owner, port.controller)

    def of(self, owner: Controller | None, controller: Controller) -> AccessState:
        """How a controller serves what another one, or itself, owns."""
        return AccessState.OPTIMIZED if owner is controller else _OTHERS[self.spec.access]

    def report(self, volume: Volume, ports: Iterable[Port], now: int) -> int:
        """What target port groups are to a volume: a nibble for each, of the last port's."""
        groups = {port.home.number: self.state(volume, port, now) for port in ports}
        return sum(state << (4 * number) for number, state in groups.items())

    def check(self, command: Command, now: int) -> tuple[Sense, int]:
        """Why a command may not go on, or what it takes longer."""
        itl, asks = command.itl, command.op == Op.TEST_UNIT_READY
        state = self.state(itl.volume, itl.port, now)
        if state is AccessState.TRANSITIONING:
            return Sense.TRANSITION, 0
        if state <= AccessState.OPTIMIZED or itl.attentions:
            return Sense.NONE, 0
        asked = self.spec.explicit_access and command.flags & Flag.SET_GROUPS
        if state is AccessState.NON_OPTIMIZED and (asks or not asked):
            return Sense.NONE, 0 if asks else self.spec.non_optimized_ns
        if state is AccessState.PASSIVE and asks:
            return Sense.STANDBY, 0
        if state is AccessState.PASSIVE or (asked and not asks):
            self.move(itl.volume, itl.port.controller, now)
            return Sense.TRANSITION, 0
        return _SENSES[state], 0

    def move(self, volume: Volume, owner: Controller, now: int) -> None:
        """Lets a volume change its owner from now on; every nexus is to hear of it."""
        volume.owner, volume.moving_until = owner, now + self.spec.transition_ns
        self._tell(volume, Attention.ACCESS_CHANGED)

    def fit(self, volumes: Iterable[Volume], lost: list[Controller], now: int) -> None:
        """Moves volumes from controllers that are lost, and back to those that should own them."""
        for volume in volumes:
            owner, wanted = volume.owner, volume.wanted
            if owner is None or wanted is None:
                continue
            hosts_move = self.spec.explicit_access or self.spec.access is Access.ACTIVE_PASSIVE
            if wanted.online and not hosts_move:
                target: Controller | None = wanted
            else:
                target = owner if owner.online else self.heir(owner)
            if target is None:
                if owner in lost:
                    self._tell(volume, Attention.TRANSITION_FAILED)
            elif target is not owner:
                self.move(volume, target, now)

    def heir(self, owner: Controller) -> Controller | None:
        """Who takes volumes of a lost controller: its partner, else the first online."""
        if owner.partner is not None and owner.partner.online:
            return owner.partner
        return next((c for _, c in sorted(self._controllers.items()) if c.online), None)


def hears(itl: Itl, volume: Volume) -> bool:
    """Whether a nexus is told of what becomes of a volume."""
    return itl.valid and itl.volume is volume
