"""Task management in an array in plain Python: commands that hosts take back.

A function comes behind the commands of its port, and is carried out when the port has it.  What it
aborts leaves the station that it is in when it would have, and goes no further.
"""

from __future__ import annotations

from collections.abc import Callable

from smokestack.engine.records import Attention, Kind, Status, Task
from tests.reference.agenda import Agenda
from tests.reference.digest import Completion
from tests.reference.faults import AFTER, Rules
from tests.reference.space import REFUSE, TASK
from tests.reference.stations import Command, Itl, Port, Volume


class Tasks:
    """The part of an array that ends commands."""

    _agenda: Agenda
    _inside: dict[Command, None]
    _at: Callable[[int, int, Command], None]
    _send: Callable[[Completion], None]
    _answer: Callable[[Command, int], None]
    itls: list[Itl]
    ports: dict[str, Port]
    rules: Rules
    _name: Callable[[Port], str]

    def _task_arrives(self, task: Command) -> None:
        """Takes a function in, whatever the port's queue is like."""
        port = task.itl.port
        if not port.up or (port.hung and task.op != Task.TARGET_RESET):
            return
        wire = port.wire
        wire.rx_free = max(self._agenda.now, wire.rx_free) + wire.spec.command_ns
        task.port_epoch = port.epoch
        self._at(wire.rx_free, TASK, task)

    def _task(self, task: Command) -> None:
        """Carries a function out and says so, unless what had taken it is lost."""
        if task.port_epoch != task.itl.port.epoch:
            return
        if task.op == Task.ABORT_TASK:
            self._abort_one(task)
        elif task.op == Task.LOGICAL_UNIT_RESET:
            self._reset(task, task.itl.volume)
        else:
            self._reset_target(task, task.itl.port)
        self._send(self._word(task, Kind.TASK, Status.GOOD, task.word))

    def _turn_away(self, command: Command, start: int, status: Status) -> None:
        """Turns a command away, which takes its time; too many in a row make some ports hang."""
        port = command.itl.port
        command.status, command.port_epoch = status, port.epoch
        port.wire.rx_free = start + port.wire.spec.refusal_ns
        self._at(port.wire.rx_free, REFUSE, command)
        port.refused += 1
        if port.refused == port.spec.hang_refusals:
            port.refused = 0
            self._hang(port)

    def _refused(self, command: Command) -> None:
        if command.port_epoch >= command.itl.port.drop_epoch:
            self._answer(command, self._agenda.now)

    @staticmethod
    def _hang(port: Port) -> None:
        port.hung = True
        port.epoch += 1
        port.drop_epoch = port.epoch

    def _abort_one(self, task: Command) -> None:
        for command in self._inside:
            same = (command.ident, command.attempt) == (task.ident, task.attempt)
            if same and command.itl is task.itl:
                command.aborted = True

    def _reset(self, task: Command, volume: Volume) -> None:
        """Aborts all that a volume has, and lets the other nexuses tell."""
        for command in self._inside:
            if command.itl.volume is not volume or command.aborted:
                continue
            told = volume.tas and command.itl is not task.itl
            if told and command.port_epoch == command.itl.port.epoch:
                self._send(self._word(command, Kind.RESPONSE, Status.TASK_ABORTED))
            command.aborted = True
        for itl in self.itls:
            if itl.valid and itl.volume is volume and itl is not task.itl:
                itl.establish(Attention.LUN_RESET)

    def _abort_nexuses(self, volume: Volume, host_id: str) -> None:
        """Aborts what a host has at a volume, because another one wants so."""
        for command in self._inside:
            itl = command.itl
            if itl.own is not volume or itl.export.host_id != host_id or command.aborted:
                continue
            if itl.volume.tas and command.port_epoch == itl.port.epoch:
                self._send(self._word(command, Kind.RESPONSE, Status.TASK_ABORTED))
            command.aborted = True

    def _reset_target(self, task: Command, port: Port) -> None:
        port.hung = False
        behind = {itl.volume.volume_id: itl.volume for itl in self.itls if itl.port is port}
        for volume in behind.values():
            self._reset(task, volume)

    def _fit_hangs(self, now: int, phase: int) -> None:
        """Lets ports begin to hang, with what is in them, or end it, as rules do now."""
        for port in self.ports.values():
            name = self._name(port)
            for rule in self.rules.rules:
                if not rule.matches("PORT_HANG", name):
                    continue
                if rule.begin_ns == now and rule.at_once == (phase == AFTER):
                    self._hang(port)
                ends = rule.end_ns == now and rule.cleared == (phase == AFTER)
                if ends and not self.rules.holds("PORT_HANG", name, now, phase):
                    port.hung = False

    def _word(self, command: Command, kind: Kind, status: Status, word: int = 0) -> Completion:
        now = self._agenda.now
        return Completion(
            time=now + command.itl.port.spec.return_latency_ns,
            ident=command.ident,
            array_ns=now - command.arrived,
            first_data_ns=0,
            nexus=command.itl.index,
            sense=word,
            attempt=command.attempt,
            status=status,
            kind=kind,
        )
