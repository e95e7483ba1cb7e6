"""The fabrics' wire: what stands becomes messages, requests become changes of links."""

from __future__ import annotations

from typing import Any

from smokestack.engine.masks import masked
from smokestack.engine.messages import present
from smokestack.engine.names import NameForm
from smokestack.engine.paging import page
from smokestack.v1 import multipath_pb2 as pb

from .fabrics import BB_CREDITS_DEFAULT, TRUNK, Link, frames_on
from .shared_service import Handlers
from .updates import update_fabric

FABRIC = NameForm("multipaths/m1/fabrics/fabric-a")
LINK = NameForm("multipaths/m1/fabrics/fabric-a/links/h1-a")
_FABRIC_DEFAULTS = {"trunk_bandwidth_bytes_per_second": 0, "hold_time_ns": 0}
_LINK_DEFAULTS = {"bandwidth_bytes_per_second": 0, "bb_credits": BB_CREDITS_DEFAULT}


class FabricHandlers(Handlers):
    """The part of MultipathService that is about fabrics."""

    def GetFabric(self, request: pb.GetFabricRequest, context: Any = None) -> pb.Fabric:
        (fabric_id,) = self._parse(FABRIC, request.name)
        with self._requests.read():
            return self._fabric(fabric_id)

    def ListFabrics(
        self, request: pb.ListFabricsRequest, context: Any = None
    ) -> pb.ListFabricsResponse:
        self._parse(NameForm("multipaths/m1"), request.parent, "parent")
        with self._requests.read():
            known = self._model.fabrics.fabrics
            found, token = page(known, request.page_size, request.page_token, "fabrics")
            return pb.ListFabricsResponse(fabrics=map(self._fabric, found), next_page_token=token)

    def UpdateFabric(self, request: pb.UpdateFabricRequest, context: Any = None) -> pb.Fabric:
        (fabric_id,) = self._parse(FABRIC, request.fabric.name, "fabric.name")

        def update() -> pb.Fabric:
            given = present(request.fabric)
            fields = masked(request.update_mask.paths, given, tuple(_FABRIC_DEFAULTS))
            wanted = _FABRIC_DEFAULTS | given
            update_fabric(self._model, fabric_id, **{name: wanted[name] for name in fields})
            return self._fabric(fabric_id)

        return self._requests.change(request, update)

    def GetFabricLink(self, request: pb.GetFabricLinkRequest, context: Any = None) -> pb.FabricLink:
        fabric_id, link_id = self._parse(LINK, request.name)
        with self._requests.read():
            return self._link(fabric_id, link_id)

    def ListFabricLinks(
        self, request: pb.ListFabricLinksRequest, context: Any = None
    ) -> pb.ListFabricLinksResponse:
        (fabric_id,) = self._parse(FABRIC, request.parent, "parent")
        with self._requests.read():
            links = self._model.fabrics.fabric(fabric_id).links
            found, token = page(links, request.page_size, request.page_token, request.parent)
            return pb.ListFabricLinksResponse(
                fabric_links=[self._link(fabric_id, link_id) for link_id in found],
                next_page_token=token,
            )

    def UpdateFabricLink(
        self, request: pb.UpdateFabricLinkRequest, context: Any = None
    ) -> pb.FabricLink:
        fabric_id, link_id = self._parse(LINK, request.fabric_link.name, "fabric_link.name")

        def update() -> pb.FabricLink:
            given = present(request.fabric_link)
            fields = masked(request.update_mask.paths, given, tuple(_LINK_DEFAULTS))
            wanted = _LINK_DEFAULTS | given
            self._model.update_link(fabric_id, link_id, **{name: wanted[name] for name in fields})
            return self._link(fabric_id, link_id)

        return self._requests.change(request, update)

    def _fabric(self, fabric_id: str) -> pb.Fabric:
        fabric = self._model.fabrics.fabric(fabric_id)
        trunk = fabric.links.get(TRUNK)
        return pb.Fabric(
            name=f"{self._model.name}/fabrics/{fabric_id}",
            trunk_bandwidth_bytes_per_second=trunk.bandwidth_bytes_per_second if trunk else 0,
            hold_time_ns=fabric.hold_time_ns,
            link_count=len(fabric.links),
        )

    def _link(self, fabric_id: str, link_id: str) -> pb.FabricLink:
        link: Link = self._model.fabrics.link(fabric_id, link_id)
        row = self._model.state["link"][link.row]
        return pb.FabricLink(
            name=f"{self._model.name}/fabrics/{fabric_id}/links/{link_id}",
            kind=f"FABRIC_LINK_KIND_{link.kind.name}",
            bandwidth_bytes_per_second=link.bandwidth_bytes_per_second,
            bb_credits=link.bb_credits,
            frame_count=frames_on(self._model.state, link.row),
            credit_zero_count=int(row["credit_zero"]),
            credit_zero_ns=int(row["credit_zero_ns"]),
            busy_ns=int(row["busy_ns"]),
            crc_error_count=int(row["crc_errors"]),
            class3_discard_count=int(row["class3_discards"]),
        )
