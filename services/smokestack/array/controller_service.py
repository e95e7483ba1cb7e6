"""The controllers' wire: the part of ArrayService that is about them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from google.protobuf import empty_pb2

from smokestack.engine.masks import masked
from smokestack.engine.messages import given, present, settings
from smokestack.v1 import array_pb2 as pb

from .names import CONTROLLER
from .shared_service import Handlers
from .specs import ControllerSpec


class ControllerHandlers(Handlers):
    """Handlers of controllers; what all kinds share, the service has."""

    def CreateController(
        self, request: pb.CreateControllerRequest, context: Any = None
    ) -> pb.Controller:
        def create() -> pb.Controller:
            controller = request.controller
            partner = self._partner(CONTROLLER, controller.partner, "controller.partner")
            fields = given(controller, ControllerSpec) | {"partner": partner}
            self._model.create_controller(ControllerSpec(request.controller_id, **fields))
            return self._controller(request.controller_id)

        return self._create(request.parent, request, create)

    def GetController(self, request: pb.GetControllerRequest, context: Any = None) -> pb.Controller:
        return self._get(CONTROLLER, request.name, self._controller)

    def ListControllers(
        self, request: pb.ListControllersRequest, context: Any = None
    ) -> pb.ListControllersResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.controllers, "controllers")
            return pb.ListControllersResponse(
                controllers=map(self._controller, found), next_page_token=token
            )

    def UpdateController(
        self, request: pb.UpdateControllerRequest, context: Any = None
    ) -> pb.Controller:
        controller_id = self._check_array(CONTROLLER, request.controller.name, "controller.name")

        def update() -> pb.Controller:
            masked(request.update_mask.paths, present(request.controller), ("enabled",))
            enabled = request.controller.enabled or not request.controller.HasField("enabled")
            self._model.set_controller_enabled(controller_id, enabled)
            return self._controller(controller_id)

        return self._requests.change(request, update)

    def RebootController(
        self, request: pb.RebootControllerRequest, context: Any = None
    ) -> pb.Controller:
        controller_id = self._check_array(CONTROLLER, request.name)

        def reboot() -> pb.Controller:
            self._model.reboot_controller(controller_id)
            return self._controller(controller_id)

        return self._requests.change(request, reboot)

    def DeleteController(
        self, request: pb.DeleteControllerRequest, context: Any = None
    ) -> empty_pb2.Empty:
        return self._delete(CONTROLLER, request, self._model.delete_controller)

    def _controller(self, controller_id: str) -> pb.Controller:
        name, spec = self._found(CONTROLLER, controller_id, self._model.controllers, controller_id)
        usage = asdict(self._model.controller_usage(controller_id))
        state = f"CONTROLLER_STATE_{usage.pop('state').name}"
        partner = spec.partner and CONTROLLER.format(self._model.array_id, spec.partner)
        fields = settings(spec, "controller_id") | usage
        return pb.Controller(**fields | {"name": name, "state": state, "partner": partner})
