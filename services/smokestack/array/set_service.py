"""The wire of sets of hosts and of ports, and of what is exported to a set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import empty_pb2

from smokestack.engine.masks import masked
from smokestack.engine.messages import present
from smokestack.engine.names import NameForm
from smokestack.v1 import array_pb2 as pb

from .names import HOST, HOST_SET, PORT, PORT_SET, SET_EXPORT, VOLUME
from .shared_service import Handlers
from .specs import HostSetSpec, PortSetSpec, SetExportSpec


class SetHandlers(Handlers):
    """Handlers of sets; what all kinds share, the service has."""

    # --- sets of hosts ----------------------------------------------------------------------

    def CreateHostSet(self, request: pb.CreateHostSetRequest, context: Any = None) -> pb.HostSet:
        def create() -> pb.HostSet:
            hosts = self._members(HOST, request.host_set.hosts, "host_set.hosts")
            self._model.sets.create_host_set(HostSetSpec(request.host_set_id, hosts))
            return self._host_set(request.host_set_id)

        return self._create(request.parent, request, create)

    def GetHostSet(self, request: pb.GetHostSetRequest, context: Any = None) -> pb.HostSet:
        return self._get(HOST_SET, request.name, self._host_set)

    def ListHostSets(
        self, request: pb.ListHostSetsRequest, context: Any = None
    ) -> pb.ListHostSetsResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.host_sets, "host_sets")
            return pb.ListHostSetsResponse(
                host_sets=map(self._host_set, found), next_page_token=token
            )

    def UpdateHostSet(self, request: pb.UpdateHostSetRequest, context: Any = None) -> pb.HostSet:
        host_set_id = self._check_array(HOST_SET, request.host_set.name, "host_set.name")

        def update() -> pb.HostSet:
            masked(request.update_mask.paths, present(request.host_set), ("hosts",))
            hosts = self._members(HOST, request.host_set.hosts, "host_set.hosts")
            self._model.sets.update_host_set(host_set_id, hosts)
            return self._host_set(host_set_id)

        return self._requests.change(request, update)

    def DeleteHostSet(
        self, request: pb.DeleteHostSetRequest, context: Any = None
    ) -> empty_pb2.Empty:
        return self._delete(HOST_SET, request, self._model.sets.delete_host_set)

    # --- sets of ports ----------------------------------------------------------------------

    def CreatePortSet(self, request: pb.CreatePortSetRequest, context: Any = None) -> pb.PortSet:
        def create() -> pb.PortSet:
            ports = self._members(PORT, request.port_set.ports, "port_set.ports")
            self._model.sets.create_port_set(PortSetSpec(request.port_set_id, ports))
            return self._port_set(request.port_set_id)

        return self._create(request.parent, request, create)

    def GetPortSet(self, request: pb.GetPortSetRequest, context: Any = None) -> pb.PortSet:
        return self._get(PORT_SET, request.name, self._port_set)

    def ListPortSets(
        self, request: pb.ListPortSetsRequest, context: Any = None
    ) -> pb.ListPortSetsResponse:
        with self._requests.read():
            found, token = self._page(request, self._model.port_sets, "port_sets")
            return pb.ListPortSetsResponse(
                port_sets=map(self._port_set, found), next_page_token=token
            )

    def UpdatePortSet(self, request: pb.UpdatePortSetRequest, context: Any = None) -> pb.PortSet:
        port_set_id = self._check_array(PORT_SET, request.port_set.name, "port_set.name")

        def update() -> pb.PortSet:
            masked(request.update_mask.paths, present(request.port_set), ("ports",))
            ports = self._members(PORT, request.port_set.ports, "port_set.ports")
            self._model.sets.update_port_set(port_set_id, ports)
            return self._port_set(port_set_id)

        return self._requests.change(request, update)

    def DeletePortSet(
        self, request: pb.DeletePortSetRequest, context: Any = None
    ) -> empty_pb2.Empty:
        return self._delete(PORT_SET, request, self._model.sets.delete_port_set)

    # --- exports to sets --------------------------------------------------------------------

    def CreateSetExport(
        self, request: pb.CreateSetExportRequest, context: Any = None
    ) -> pb.SetExport:
        def create() -> pb.SetExport:
            export, sets = request.set_export, self._model.sets
            volume_id = self._check_array(VOLUME, export.volume, "set_export.volume")
            host_set_id = self._check_array(HOST_SET, export.host_set, "set_export.host_set")
            ports, port_set = self._limits(export, "set_export")
            sets.limit(ports, port_set, "set_export")
            lun = export.lun if export.HasField("lun") else sets.free_lun(host_set_id)
            read_only = export.read_only
            sets.create_export(
                SetExportSpec(volume_id, host_set_id, lun, ports, port_set, read_only)
            )
            return self._set_export(f"{volume_id}.{host_set_id}")

        return self._create(request.parent, request, create)

    def GetSetExport(self, request: pb.GetSetExportRequest, context: Any = None) -> pb.SetExport:
        return self._get(SET_EXPORT, request.name, self._set_export)

    def ListSetExports(
        self, request: pb.ListSetExportsRequest, context: Any = None
    ) -> pb.ListSetExportsResponse:
        with self._requests.read():
            names = [f"{volume}.{host_set}" for volume, host_set in self._model.set_exports]
            found, token = self._page(request, names, "set_exports")
            return pb.ListSetExportsResponse(
                set_exports=map(self._set_export, found), next_page_token=token
            )

    def DeleteSetExport(
        self, request: pb.DeleteSetExportRequest, context: Any = None
    ) -> empty_pb2.Empty:
        def delete(export_id: str) -> None:
            volume_id, _, host_set_id = export_id.partition(".")
            self._model.sets.delete_export(volume_id, host_set_id)

        return self._delete(SET_EXPORT, request, delete)

    # --- what they share --------------------------------------------------------------------

    def _members(self, form: NameForm, names: Sequence[str], field: str) -> tuple[str, ...]:
        """Returns the identifiers of resources of this array, given by full names."""
        return tuple(
            self._check_array(form, name, f"{field}[{index}]") for index, name in enumerate(names)
        )

    def _limits(self, export: Any, field: str) -> tuple[tuple[str, ...], str]:
        """Returns the ports that an export names, and the set of ports."""
        ports = self._members(PORT, export.ports, f"{field}.ports")
        return ports, self._partner(PORT_SET, export.port_set, f"{field}.port_set")

    def _limited(self, ports: Sequence[str], port_set: str) -> dict[str, Any]:
        """Returns what an export's message says of ports: a set, if they were given as one."""
        array_id = self._model.array_id
        if port_set:
            return {"port_set": PORT_SET.format(array_id, port_set)}
        return {"ports": [PORT.format(array_id, port_id) for port_id in ports]}

    def _host_set(self, host_set_id: str) -> pb.HostSet:
        name, spec = self._found(HOST_SET, host_set_id, self._model.host_sets, host_set_id)
        hosts = [HOST.format(self._model.array_id, host_id) for host_id in spec.hosts]
        return pb.HostSet(name=name, hosts=hosts)

    def _port_set(self, port_set_id: str) -> pb.PortSet:
        name, spec = self._found(PORT_SET, port_set_id, self._model.port_sets, port_set_id)
        ports = [PORT.format(self._model.array_id, port_id) for port_id in spec.ports]
        return pb.PortSet(name=name, ports=ports)

    def _set_export(self, export_id: str) -> pb.SetExport:
        volume_id, _, host_set_id = export_id.partition(".")
        key = volume_id, host_set_id
        name, spec = self._found(SET_EXPORT, export_id, self._model.set_exports, key)
        return pb.SetExport(
            name=name,
            volume=VOLUME.format(self._model.array_id, volume_id),
            host_set=HOST_SET.format(self._model.array_id, host_set_id),
            lun=spec.lun,
            read_only=spec.read_only,
            **self._limited(spec.ports, spec.port_set),
        )
