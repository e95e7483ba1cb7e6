"""The wire of hosts as the array knows them: the part of ArrayService that is about them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from google.protobuf import empty_pb2

from smokestack.engine.masks import masked
from smokestack.engine.messages import present, settings
from smokestack.v1 import array_pb2 as pb

from .names import HOST
from .requests import host_spec
from .shared_service import Handlers

_LIMITS = ("queue_limit", "port_queue_limit")


class HostHandlers(Handlers):
    """Handlers of hosts; what all kinds share, the service has."""

    def CreateArrayHost(
        self, request: pb.CreateArrayHostRequest, context: Any = None
    ) -> pb.ArrayHost:
        def create() -> pb.ArrayHost:
            self._model.create_host(host_spec(request.array_host_id, request.array_host))
            return self._host(request.array_host_id)

        return self._create(request.parent, request, create)

    def GetArrayHost(self, request: pb.GetArrayHostRequest, context: Any = None) -> pb.ArrayHost:
        return self._get(HOST, request.name, self._host)

    def ListArrayHosts(
        self, request: pb.ListArrayHostsRequest, context: Any = None
    ) -> pb.ListArrayHostsResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.hosts, "hosts")
            return pb.ListArrayHostsResponse(
                array_hosts=map(self._host, found), next_page_token=token
            )

    def UpdateArrayHost(
        self, request: pb.UpdateArrayHostRequest, context: Any = None
    ) -> pb.ArrayHost:
        host_id = self._check_array(HOST, request.array_host.name, "array_host.name")

        def update() -> pb.ArrayHost:
            host = request.array_host
            fields = masked(request.update_mask.paths, present(host), _LIMITS)
            self._model.update_host(host_id, **{field: getattr(host, field) for field in fields})
            return self._host(host_id)

        return self._requests.change(request, update)

    def DeleteArrayHost(
        self, request: pb.DeleteArrayHostRequest, context: Any = None
    ) -> empty_pb2.Empty:
        return self._delete(HOST, request, self._model.delete_host)

    def _host(self, host_id: str) -> pb.ArrayHost:
        name, spec = self._found(HOST, host_id, self._model.hosts, host_id)
        return pb.ArrayHost(
            name=name,
            initiators=map(asdict, spec.initiators),
            refused_count=self._model.quotas.refused(host_id),
            **settings(spec, "host_id", "initiators"),
        )
