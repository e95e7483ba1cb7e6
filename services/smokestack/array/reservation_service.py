"""The wire of what hosts ask a logical unit besides I/O: reservations, and what is mapped."""

from __future__ import annotations

from typing import Any

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.messages import member
from smokestack.v1 import array_pb2 as pb

from .lba_status import lba_status
from .names import EXPORT, HOST, VOLUME
from .reservations import ReservationAction, ReservationType, ReserveOut
from .shared_service import Handlers


class ReservationHandlers(Handlers):
    """Handlers of reservations; what all kinds share, the service has."""

    def PersistentReserveOut(
        self, request: pb.PersistentReserveOutRequest, context: Any = None
    ) -> pb.VolumeReservations:
        volume_id, _, host_id = self._check_array(EXPORT, request.name).partition(".")
        if not request.action:
            choice = ", ".join(each.name for each in ReservationAction)
            raise InvalidArgument.at("action", f"is not set: give one of {choice}")
        action = member(ReservationAction, request.action, "action", ReservationAction.REGISTER)
        kind = member(ReservationType, request.type, "type", ReservationType.WRITE_EXCLUSIVE)
        out = ReserveOut(
            host_id,
            action,
            request.reservation_key,
            request.service_action_reservation_key,
            kind if request.type else None,
            request.aptpl,
        )

        def change() -> pb.VolumeReservations:
            self._model.reservations.carry_out(volume_id, out)
            return self._reservations(volume_id)

        return self._requests.change(request, change)

    def GetVolumeReservations(
        self, request: pb.GetVolumeReservationsRequest, context: Any = None
    ) -> pb.VolumeReservations:
        return self._get(VOLUME, request.name, self._reservations)

    def GetLbaStatus(
        self, request: pb.GetLbaStatusRequest, context: Any = None
    ) -> pb.GetLbaStatusResponse:
        def status(volume_id: str) -> pb.GetLbaStatusResponse:
            self._found(VOLUME, volume_id, self._model.volumes, volume_id)
            ranges, after = lba_status(
                self._model, volume_id, request.offset_bytes, request.page_size
            )
            answer = pb.GetLbaStatusResponse(next_offset_bytes=after)
            for offset, length, state in ranges:
                answer.ranges.add(
                    offset_bytes=offset, length_bytes=length, state=f"LBA_STATE_{state.name}"
                )
            return answer

        return self._get(VOLUME, request.name, status)

    def _reservations(self, volume_id: str) -> pb.VolumeReservations:
        name, _ = self._found(VOLUME, volume_id, self._model.volumes, volume_id)
        now, array_id = self._model.reservations.of(volume_id), self._model.array_id
        found = pb.VolumeReservations(
            volume=name,
            holder=now.holder and HOST.format(array_id, now.holder),
            generation=now.generation,
            aptpl=now.aptpl,
        )
        if now.kind is not None:
            found.MergeFrom(pb.VolumeReservations(type=f"RESERVATION_TYPE_{now.kind.name}"))
        for host_id, key in now.keys:
            found.registrations.add(host=HOST.format(array_id, host_id), reservation_key=key)
        return found
