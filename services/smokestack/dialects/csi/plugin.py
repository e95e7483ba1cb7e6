"""A plugin: CSI's services over one array, and one host of a multipath layer if it is known."""

from __future__ import annotations

from typing import Any

import grpc

from smokestack.csi.v1 import (
    controller_pb2_grpc,
    group_pb2_grpc,
    identity_pb2_grpc,
    node_pb2_grpc,
)

from .controller import Controller
from .group import GroupController
from .hosts import Hosts
from .identity import Identity
from .node import Node
from .settings import DEFAULT, Settings
from .storage import Storage


class Plugin:
    """What is added to a server so that CSI clients find it there."""

    def __init__(
        self,
        array: Any,
        array_name: str,
        multipath: Any = None,
        settings: Settings = DEFAULT,
    ) -> None:
        """Takes the services: handlers or stubs, which raise refusals.

        Without a multipath layer there is no Node.
        """
        storage = Storage(array, array_name)
        hosts = Hosts(multipath) if multipath is not None else None
        self.identity = Identity(storage, hosts)
        self.controller = Controller(storage, hosts, settings)
        self.group = GroupController(storage)
        self.node = Node(storage, hosts, settings) if hosts else None

    @property
    def service_names(self) -> tuple[str, ...]:
        """Full names of what is served."""
        names = ("csi.v1.Identity", "csi.v1.Controller", "csi.v1.GroupController")
        return (*names, "csi.v1.Node") if self.node else names

    def add_to(self, server: grpc.Server) -> None:
        """Adds the services to a server."""
        identity_pb2_grpc.add_IdentityServicer_to_server(self.identity, server)
        controller_pb2_grpc.add_ControllerServicer_to_server(self.controller, server)
        group_pb2_grpc.add_GroupControllerServicer_to_server(self.group, server)
        if self.node:
            node_pb2_grpc.add_NodeServicer_to_server(self.node, server)
