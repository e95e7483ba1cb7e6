"""Controllers that come and go by hand, volumes that change their owners, what hosts are told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from smokestack.engine.records import AccessState, Attention
from tests.reference.access import Ownership, hears
from tests.reference.agenda import ARRAY, Agenda
from tests.reference.config import ControllerEnabled, ControllerRebooted, VolumeAssigned
from tests.reference.faults import AFTER, BEFORE
from tests.reference.stations import Controller, Itl, Port, Volume

CHANGED = 0  # what happens first at one time in an array


class Moves(ABC):
    """The part of an array that moves volumes, and controllers by hand."""

    _agenda: Agenda
    ownership: Ownership
    controllers: dict[str, Controller]
    volumes: dict[str, Volume]
    itls: list[Itl]
    forward_ns: int
    _reached: int | None = None  # nexuses that there were when what happens now was decided

    @abstractmethod
    def _will_serve(self, port: Port) -> bool:
        """Whether a port does as long as nothing else changes."""

    @abstractmethod
    def _rules_move(self, time: int, phase: int) -> None:
        """Makes links and controllers be as rules want it."""

    @abstractmethod
    def _fit_links(self, phase: int) -> None:
        """Has links go up and down as ports and controllers want it."""

    @abstractmethod
    def _runs(self, controller: Controller, allowed: bool, time: int) -> bool:
        """Whether a controller is up."""

    def access(self, itl: Itl) -> tuple[AccessState, bool]:
        """How a volume is served through a nexus, as a host is told that asks now."""
        if not self.ownership.asymmetric:
            return AccessState.UNKNOWN, False
        then = self._agenda.now + self.forward_ns
        self._agenda.ahead(self, (then, ARRAY, CHANGED, 2))
        volume, port = itl.own, itl.port
        owner, until = volume.planned or (volume.owner, volume.moving_until)
        preferred = (volume.planned_wanted or volume.wanted) is port.home
        if then < until:
            return AccessState.TRANSITIONING, preferred
        carrier = port
        if not self._will_serve(port) and port.partner and self._will_serve(port.partner):
            carrier = port.partner
        return self.ownership.of(owner, carrier.home), preferred

    def _assign(self, change: VolumeAssigned, key: tuple[int, int, int, int, int]) -> None:
        """Has a volume move to a controller, unless that will be down."""
        controller = self.controllers[change.controller_id]
        if not self.ownership.asymmetric:
            return
        if not self._runs(controller, controller.enabled, key[0]):
            return
        volume = self.volumes[change.volume_id]
        self._agenda.ahead(self, (key[0], ARRAY, CHANGED, 0))
        owner, _ = volume.planned or (volume.owner, 0)
        volume.planned_wanted = controller
        if owner is not controller:
            volume.planned = controller, key[0] + self.ownership.spec.transition_ns
        self._agenda.add(
            key, self._by_hand, len(self.itls), self._move, volume, controller, of=self
        )

    def _move(self, volume: Volume, controller: Controller) -> None:
        volume.wanted = controller
        volume.planned = volume.planned_wanted = None
        if volume.owner is not controller:
            self.ownership.move(volume, controller, self._agenda.now)

    def _adopt(self, volume: Volume, controller_id: str, then: int) -> None:
        """Gives a new volume its owner; one that is down lets it go again at once."""
        if not self.ownership.asymmetric:
            return
        self._agenda.ahead(self, (then, ARRAY, CHANGED, 0))
        self.ownership.own(volume, controller_id)
        assert volume.owner is not None
        heir = None if volume.owner.online else self.ownership.heir(volume.owner)
        if heir is not None:
            volume.planned = heir, then + self.ownership.spec.transition_ns
            key = (then, ARRAY, CHANGED, 0, 0)
            reached = len(self.itls)
            self._agenda.add(key, self._by_hand, reached, self._take_over, volume, heir, of=self)

    def _take_over(self, volume: Volume, heir: Controller) -> None:
        volume.planned = None
        self.ownership.move(volume, heir, self._agenda.now)

    def _tell_access(self, volume: Volume, attention: Attention) -> None:
        for itl in self.itls[: self._reached]:
            if hears(itl, volume) and itl.since <= self._agenda.now:
                itl.establish(attention)

    def _by_hand(
        self, reached: int | None, action: Callable[..., None], *arguments: object
    ) -> None:
        """Does what was asked when there were so many nexuses: those made since do not hear."""
        self._reached = reached
        action(*arguments)
        self._reached = None

    def _change_controller(self, change: ControllerEnabled | ControllerRebooted, then: int) -> None:
        controller = self.controllers[change.controller_id]
        key, reached = (then, ARRAY, CHANGED, 0, 0), len(self.itls)
        if isinstance(change, ControllerRebooted):
            self._release(controller, then)
            self._agenda.add(key, self._by_hand, reached, self._fit_links, AFTER, of=self)
        elif controller.enabled != change.enabled:
            controller.enabled = change.enabled
            if change.enabled:
                self._release(controller, then)
            allow = self._allow_controller, controller, change.enabled
            self._agenda.add(key, self._by_hand, reached, *allow, of=self)

    def _release(self, controller: Controller, end: int) -> None:
        """Notes that hands let go of a controller then, which reboots."""
        controller.ends.append(end)
        if controller.spec.reboot_ns:
            self._rules_move(end + controller.spec.reboot_ns, BEFORE)

    def _allow_controller(self, controller: Controller, allowed: bool) -> None:
        controller.allowed = allowed
        self._fit_links(AFTER)
