"""Multipath's wire: requests become specs and model calls, what stands becomes messages.

Names, masks, pages and retries are handled here; what a value may be is the model's to say.  The
handlers ignore their context, so that a scenario is built by calling them as plain functions.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from google.protobuf import empty_pb2

from smokestack.engine.errors import InvalidArgument, NotFound
from smokestack.engine.labels import checked_labels
from smokestack.engine.masks import masked
from smokestack.engine.messages import given, member, present, settings
from smokestack.engine.names import NameForm
from smokestack.engine.paging import page
from smokestack.engine.requests import UNRECORDED, Border, Recorder, Requests
from smokestack.v1 import multipath_pb2 as pb
from smokestack.v1 import multipath_pb2_grpc

from .fabric_service import FabricHandlers
from .model import MultipathModel
from .path_service import PathHandlers
from .resets import reset_device
from .shared_service import MULTIPATH
from .specs import (
    ApdHandling,
    ClaimRule,
    DepthRule,
    Escalation,
    Failback,
    MultipathHostSpec,
    MultipathSpec,
    NoPathRetry,
    PathChecker,
    PathFailureHandling,
    Plugin,
    QueueControl,
    Selector,
    SelectorSettings,
    WorldShares,
)
from .statistics import QueueStatistics, adapter_statistics, device_statistics
from .status import DeviceStatus, PathStatus
from .updates import update_host, update_layer

HOST = NameForm("multipaths/m1/hosts/h1")
DEVICE = NameForm("multipaths/m1/hosts/h1/devices/a1.v1")
ADAPTER = NameForm("multipaths/m1/hosts/h1/adapters/h1-a")
PATH = NameForm("multipaths/m1/hosts/h1/devices/a1.v1/paths/h1-a.p0")

# The model says "host" where the API, which has two more kinds of hosts, says "multipath_host".
_FIELDS = {"host.host_id": "multipath_host_id", "host.": "multipath_host."}
_DEVICE_FIELDS = (
    "lun_queue_depth",
    "sched_num_req_outstanding",
    "selector",
    "ios_per_path",
    "preferred_path",
    "labels",
    "selector_settings",
    "queue_control",
    "path_failure_handling",
    "world_shares",
)
_LAYER_FIELDS = tuple(MultipathSpec().settings())
_HOST_FIELDS = (
    "selector",
    "lun_queue_depth",
    "ios_per_path",
    "selector_settings",
    "sched_num_req_outstanding",
    "adapter_queue_depth",
    "claim_rules",
    "queue_control",
    "path_failure_handling",
    "allow_thrashing",
)
_PATH_FIELDS = ("enabled", "relative_throughput", "cpus")


class MultipathService(FabricHandlers, PathHandlers, multipath_pb2_grpc.MultipathServiceServicer):
    """Serves one multipath layer."""

    def __init__(
        self, model: MultipathModel, border: Border, recorder: Recorder = UNRECORDED
    ) -> None:
        self._model = model
        self._requests = Requests(border, _FIELDS, recorder)
        model.keeper.add("requests", self._requests)

    @property
    def requests(self) -> Requests:
        """What carries out its requests, and remembers the answers."""
        return self._requests

    # --- the layer --------------------------------------------------------------------------

    def GetMultipath(self, request: pb.GetMultipathRequest, context: Any = None) -> pb.Multipath:
        self._parse(MULTIPATH, request.name)
        with self._requests.read():
            return self._multipath()

    def ListMultipaths(
        self, request: pb.ListMultipathsRequest, context: Any = None
    ) -> pb.ListMultipathsResponse:
        with self._requests.read():
            found, token = page(
                [self._model.name], request.page_size, request.page_token, "multipaths"
            )
            return pb.ListMultipathsResponse(
                multipaths=[self._multipath() for _ in found], next_page_token=token
            )

    def UpdateMultipath(
        self, request: pb.UpdateMultipathRequest, context: Any = None
    ) -> pb.Multipath:
        self._parse(MULTIPATH, request.multipath.name, "multipath.name")

        def update() -> pb.Multipath:
            mask = request.update_mask.paths
            fields = masked(mask, present(request.multipath), _LAYER_FIELDS)
            wanted = given(request.multipath, MultipathSpec)
            defaults = MultipathSpec().settings()
            values = defaults | {name: int(wanted[name]) for name in wanted.keys() & defaults}
            layer, default = request.multipath, MultipathSpec
            values |= {
                "apd_handling": member(
                    ApdHandling, layer.apd_handling, "multipath.apd_handling", default.apd_handling
                ),
                "escalation": member(
                    Escalation, layer.escalation, "multipath.escalation", default.escalation
                ),
            }
            update_layer(self._model, {name: values[name] for name in sorted(fields)})
            return self._multipath()

        return self._requests.change(request, update)

    # --- hosts ------------------------------------------------------------------------------

    def CreateMultipathHost(
        self, request: pb.CreateMultipathHostRequest, context: Any = None
    ) -> pb.MultipathHost:
        self._parse(MULTIPATH, request.parent, "parent")

        def create() -> pb.MultipathHost:
            self._model.create_host(_host_spec(request.multipath_host_id, request.multipath_host))
            return self._host(request.multipath_host_id)

        return self._requests.change(request, create)

    def GetMultipathHost(
        self, request: pb.GetMultipathHostRequest, context: Any = None
    ) -> pb.MultipathHost:
        (host_id,) = self._parse(HOST, request.name)
        with self._requests.read():
            return self._host(host_id)

    def ListMultipathHosts(
        self, request: pb.ListMultipathHostsRequest, context: Any = None
    ) -> pb.ListMultipathHostsResponse:
        self._parse(MULTIPATH, request.parent, "parent")
        with self._requests.read():
            found, token = page(
                self._model.hosts, request.page_size, request.page_token, request.parent
            )
            return pb.ListMultipathHostsResponse(
                multipath_hosts=map(self._host, found), next_page_token=token
            )

    def UpdateMultipathHost(
        self, request: pb.UpdateMultipathHostRequest, context: Any = None
    ) -> pb.MultipathHost:
        message = request.multipath_host
        (host_id,) = self._parse(HOST, message.name, "multipath_host.name")

        def update() -> pb.MultipathHost:
            fields = masked(request.update_mask.paths, present(message), _HOST_FIELDS)
            wanted = _host_spec(host_id, message)
            kept = self._model.host(host_id)
            changed = {name: getattr(wanted, name) for name in sorted(fields)}
            update_host(self._model, replace(kept, **changed))
            return self._host(host_id)

        return self._requests.change(request, update)

    def DeleteMultipathHost(
        self, request: pb.DeleteMultipathHostRequest, context: Any = None
    ) -> empty_pb2.Empty:
        (host_id,) = self._parse(HOST, request.name)

        def delete() -> empty_pb2.Empty:
            self._model.delete_host(host_id)
            return empty_pb2.Empty()

        return self._requests.change(request, delete)

    def RescanMultipathHost(
        self, request: pb.RescanMultipathHostRequest, context: Any = None
    ) -> pb.RescanMultipathHostResponse:
        (host_id,) = self._parse(HOST, request.name)

        def rescan() -> pb.RescanMultipathHostResponse:
            result = self._model.rescan(host_id)
            return pb.RescanMultipathHostResponse(
                devices_added_count=result.devices_added,
                devices_removed_count=result.devices_removed,
                paths_added_count=result.paths_added,
                paths_removed_count=result.paths_removed,
            )

        return self._requests.change(request, rescan)

    # --- devices ----------------------------------------------------------------------------

    def GetDevice(self, request: pb.GetDeviceRequest, context: Any = None) -> pb.Device:
        host_id, device = self._parse(DEVICE, request.name)
        with self._requests.read():
            return self._device(self._model.device_status(host_id, device))

    def ListDevices(
        self, request: pb.ListDevicesRequest, context: Any = None
    ) -> pb.ListDevicesResponse:
        (host_id,) = self._parse(HOST, request.parent, "parent")
        with self._requests.read():
            devices = {device.name: device for device in self._model.devices(host_id)}
            found, token = page(devices, request.page_size, request.page_token, request.parent)
            return pb.ListDevicesResponse(
                devices=[self._device(devices[name]) for name in found], next_page_token=token
            )

    def UpdateDevice(self, request: pb.UpdateDeviceRequest, context: Any = None) -> pb.Device:
        host_id, device = self._parse(DEVICE, request.device.name, "device.name")

        def update() -> pb.Device:
            fields = masked(request.update_mask.paths, present(request.device), _DEVICE_FIELDS)
            wanted = self._device_settings(host_id, device, request.device)
            self._model.update_device(
                host_id, device, **{name: wanted[name] for name in sorted(fields)}
            )
            return self._device(self._model.device_status(host_id, device))

        return self._requests.change(request, update)

    def ResetDevice(self, request: pb.ResetDeviceRequest, context: Any = None) -> pb.Device:
        host_id, device = self._parse(DEVICE, request.name)

        def reset() -> pb.Device:
            reset_device(self._model, host_id, device, target=request.target)
            return self._device(self._model.device_status(host_id, device))

        return self._requests.change(request, reset)

    def _device_settings(self, host_id: str, device: str, message: pb.Device) -> dict[str, Any]:
        """Returns what can be updated, the host's defaults where the message says nothing."""
        claimed = self._model.device(host_id, device).claimed
        host = self._model.host(host_id)
        preferred = ""
        if message.preferred_path:
            *owner, preferred = self._parse(PATH, message.preferred_path, "device.preferred_path")
            if owner != [host_id, device]:
                raise InvalidArgument.at(
                    "device.preferred_path", "lies on another device: use a path of this one"
                )
        defaults = {
            name: getattr(host, name)
            for name in ("lun_queue_depth", "sched_num_req_outstanding", "ios_per_path")
        }
        return {
            **defaults,
            **present(message),
            "selector": member(Selector, message.selector, "device.selector", claimed),
            "preferred_path": preferred,
            "labels": checked_labels("device.labels", message.labels),
            "selector_settings": _settings(message.selector_settings, host.selector_settings),
            "queue_control": _control(message.queue_control, host.queue_control, "device"),
            "path_failure_handling": _handling(
                message.path_failure_handling, host.path_failure_handling, "device"
            ),
            "world_shares": tuple(
                WorldShares(**{"vm_number": each.vm_number, **given(each, WorldShares)})
                for each in message.world_shares
            ),
        }

    def GetDeviceStatistics(
        self, request: pb.GetDeviceStatisticsRequest, context: Any = None
    ) -> pb.DeviceStatistics:
        host_id, device = self._parse(DEVICE, request.name)
        with self._requests.read():
            model = self._model
            found = device_statistics(model.state, model.device(host_id, device))
            return pb.DeviceStatistics(
                name=request.name,
                time_ns=model.now_ns,
                queue=_queue_message(found.queue),
                active_worlds_count=found.active_worlds_count,
                worlds=[
                    pb.WorldStatistics(vm_number=vm, queue=_queue_message(queue))
                    for vm, queue in found.worlds.items()
                ],
                task_set_full_count=found.task_set_full_count,
                busy_count=found.busy_count,
                not_ready_count=found.not_ready_count,
                retries_count=found.retries_count,
                timed_out_count=found.timed_out_count,
                throttles_count=found.throttles_count,
                recoveries_count=found.recoveries_count,
                hung_count=found.hung_count,
                congestion_latency_ns=found.congestion_latency_ns,
            )

    # --- adapters ---------------------------------------------------------------------------

    def GetAdapter(self, request: pb.GetAdapterRequest, context: Any = None) -> pb.Adapter:
        host_id, initiator = self._parse(ADAPTER, request.name)
        with self._requests.read():
            return self._adapter(host_id, initiator)

    def ListAdapters(
        self, request: pb.ListAdaptersRequest, context: Any = None
    ) -> pb.ListAdaptersResponse:
        (host_id,) = self._parse(HOST, request.parent, "parent")
        with self._requests.read():
            initiators = sorted(self._model.host(host_id).initiators)
            found, token = page(initiators, request.page_size, request.page_token, request.parent)
            return pb.ListAdaptersResponse(
                adapters=[self._adapter(host_id, name) for name in found], next_page_token=token
            )

    def UpdateAdapter(self, request: pb.UpdateAdapterRequest, context: Any = None) -> pb.Adapter:
        host_id, initiator = self._parse(ADAPTER, request.adapter.name, "adapter.name")

        def update() -> pb.Adapter:
            masked(request.update_mask.paths, present(request.adapter), ("queue_depth",))
            depth = self._model.host(host_id).adapter_queue_depth
            if request.adapter.HasField("queue_depth"):
                depth = request.adapter.queue_depth
            self._model.update_adapter(host_id, initiator, depth)
            return self._adapter(host_id, initiator)

        return self._requests.change(request, update)

    def GetAdapterStatistics(
        self, request: pb.GetAdapterStatisticsRequest, context: Any = None
    ) -> pb.AdapterStatistics:
        host_id, initiator = self._parse(ADAPTER, request.name)
        with self._requests.read():
            row = self._model.adapter(host_id, initiator)
            return pb.AdapterStatistics(
                name=request.name,
                time_ns=self._model.now_ns,
                queue=_queue_message(adapter_statistics(self._model.state, row)),
            )

    # --- paths ------------------------------------------------------------------------------

    def GetPath(self, request: pb.GetPathRequest, context: Any = None) -> pb.Path:
        host_id, device, path = self._parse(PATH, request.name)
        with self._requests.read():
            return self._path(host_id, device, path)

    def ListPaths(self, request: pb.ListPathsRequest, context: Any = None) -> pb.ListPathsResponse:
        host_id, device = self._parse(DEVICE, request.parent, "parent")
        with self._requests.read():
            paths = [p.name for p in self._model.device_status(host_id, device).paths]
            found, token = page(paths, request.page_size, request.page_token, request.parent)
            return pb.ListPathsResponse(
                paths=[self._path(host_id, device, name) for name in found], next_page_token=token
            )

    def UpdatePath(self, request: pb.UpdatePathRequest, context: Any = None) -> pb.Path:
        host_id, device, path = self._parse(PATH, request.path.name, "path.name")

        def update() -> pb.Path:
            fields = masked(request.update_mask.paths, present(request.path), _PATH_FIELDS)
            defaults = {"enabled": True, "relative_throughput": 1}
            wanted = {**defaults, **present(request.path), "cpus": tuple(request.path.cpus)}
            self._model.update_path(
                host_id, device, path, **{name: wanted[name] for name in sorted(fields)}
            )
            return self._path(host_id, device, path)

        return self._requests.change(request, update)

    # --- messages of what stands --------------------------------------------------------------

    def _multipath(self) -> pb.Multipath:
        return pb.Multipath(
            name=self._model.name,
            **self._model.spec.settings(),
            arrays=[f"arrays/{array_id}" for array_id in sorted(self._model.arrays)],
        )

    def _host(self, host_id: str) -> pb.MultipathHost:
        spec = self._model.host(host_id)
        return pb.MultipathHost(
            name=self._name(HOST, host_id),
            initiators=spec.initiators,
            selector=f"SELECTOR_{spec.selector.name}",
            lun_queue_depth=spec.lun_queue_depth,
            ios_per_path=spec.ios_per_path,
            selector_settings=pb.SelectorSettings(**settings(spec.selector_settings)),
            queue_control=_control_message(spec.queue_control),
            path_failure_handling=_handling_message(spec.path_failure_handling),
            sched_num_req_outstanding=spec.sched_num_req_outstanding,
            adapter_queue_depth=spec.adapter_queue_depth,
            claim_rules=map(_claim_message, spec.claim_rules),
            allow_thrashing=spec.allow_thrashing,
        )

    def _device(self, status: DeviceStatus) -> pb.Device:
        array_id, _, volume_id = status.name.partition(".")
        name = self._name(DEVICE, status.host_id, status.name)
        preferred = status.preferred_path
        return pb.Device(
            name=name,
            volume=f"arrays/{array_id}/volumes/{volume_id}",
            capacity_bytes=status.capacity_bytes,
            lun=status.lun,
            selector=f"SELECTOR_{status.selector.name}",
            lun_queue_depth=status.lun_queue_depth,
            ios_per_path=status.ios_per_path,
            preferred_path=f"{name}/paths/{preferred}" if preferred else "",
            selector_settings=pb.SelectorSettings(**settings(status.selector_settings)),
            vendor=status.vendor,
            model=status.model,
            plugin=f"PLUGIN_{status.plugin.name}",
            current_path=f"{name}/paths/{status.current_path}" if status.current_path else "",
            identifier=status.identifier,
            found_identifier=status.found_identifier,
            active_count=status.active_count,
            queued_count=status.queued_count,
            state=f"DEVICE_STATE_{status.state.name}",
            labels=dict(status.labels),
            sched_num_req_outstanding=status.sched_num_req_outstanding,
            queue_limit=status.queue_limit,
            queue_control=_control_message(status.queue_control),
            path_failure_handling=_handling_message(status.path_failure_handling),
            world_shares=[pb.WorldShares(**settings(each)) for each in status.world_shares],
            throttled_depth=status.throttled_depth,
            latency_window=status.latency_window,
        )

    def _adapter(self, host_id: str, initiator: str) -> pb.Adapter:
        row = self._model.state["adapter"][self._model.adapter(host_id, initiator)]
        return pb.Adapter(
            name=self._name(ADAPTER, host_id, initiator),
            queue_depth=int(row["depth"]),
            active_count=int(row["active"]),
            queued_count=int(row["queued"]),
        )

    def _path(self, host_id: str, device: str, path: str) -> pb.Path:
        name = self._name(PATH, host_id, device, path)
        for status in self._model.device_status(host_id, device).paths:
            if status.name == path:
                return _path_message(name, status)
        raise NotFound.of(name)


def _queue_message(queue: QueueStatistics) -> pb.QueueStatistics:
    return pb.QueueStatistics(
        **asdict(queue), used_ratio=queue.used_ratio, load_ratio=queue.load_ratio
    )


def _path_message(name: str, status: PathStatus) -> pb.Path:
    return pb.Path(
        name=name,
        port=f"arrays/{status.array_id}/ports/{status.port}",
        initiator=status.initiator,
        state=f"PATH_STATE_{status.state.name}",
        access_state=pb.AccessState.Name(status.access),
        preferred_group=status.preferred_group,
        enabled=status.enabled,
        in_flight_count=status.in_flight_count,
        io_count=status.io_count,
        io_bytes=status.io_bytes,
        error_count=status.error_count,
        refusal_count=status.refusal_count,
        **settings(status.selection),
        mean_response_ns=status.mean_response_ns,
        out_of_range_count=status.out_of_range_count,
        not_ready_ns=status.not_ready_ns,
        checker_state=_checker_state(status),
        next_check_ns=status.next_check_ns,
        check_count=status.check_count,
    )


def _checker_state(status: PathStatus) -> str | None:
    found = status.checker_state
    return f"CHECKER_STATE_{found.name}" if found else None


def _claim_rule(place: str, message: pb.ClaimRule) -> ClaimRule:
    fields = given(message, ClaimRule)
    for name in ("vendor", "model", "array"):
        fields[name] = fields.get(name) or ClaimRule.vendor
    fields["plugin"] = member(Plugin, message.plugin, f"{place}.plugin", Plugin.NATIVE)
    if message.selector:
        fields["selector"] = member(
            Selector, message.selector, f"{place}.selector", Selector.ROUND_ROBIN
        )
    return ClaimRule(**fields)


def _claim_message(rule: ClaimRule) -> pb.ClaimRule:
    return pb.ClaimRule(
        vendor=rule.vendor,
        model=rule.model,
        array=rule.array,
        plugin=f"PLUGIN_{rule.plugin.name}",
        selector=f"SELECTOR_{rule.selector.name}" if rule.selector else None,
        plugin_vendor=rule.plugin_vendor,
    )


def _settings(message: pb.SelectorSettings, defaults: SelectorSettings) -> SelectorSettings:
    return replace(defaults, **present(message))


def _control(message: pb.QueueControl, defaults: QueueControl, field: str) -> QueueControl:
    rule = member(DepthRule, message.rule, f"{field}.queue_control.rule", defaults.rule)
    return replace(defaults, **present(message) | {"rule": rule})


def _control_message(control: QueueControl) -> pb.QueueControl:
    rule = f"QUEUE_DEPTH_RULE_{control.rule.name}"
    return pb.QueueControl(rule=rule, **settings(control, "rule"))


def _handling(
    message: pb.PathFailureHandling, defaults: PathFailureHandling, field: str
) -> PathFailureHandling:
    at = f"{field}.path_failure_handling"
    checker = member(PathChecker, message.checker, f"{at}.checker", defaults.checker)
    retry = member(
        NoPathRetry, message.no_path_retry, f"{at}.no_path_retry", defaults.no_path_retry
    )
    if message.no_path_retry and not message.HasField("no_path_retry_count"):
        defaults = replace(defaults, no_path_retry_count=0)
    back = member(Failback, message.failback, f"{at}.failback", defaults.failback)
    if message.failback and not message.HasField("failback_delay_ns"):
        defaults = replace(defaults, failback_delay_ns=0)
    chosen = {"checker": checker, "no_path_retry": retry, "failback": back}
    return replace(defaults, **present(message) | chosen)


def _handling_message(handling: PathFailureHandling) -> pb.PathFailureHandling:
    checker = f"PATH_CHECKER_{handling.checker.name}"
    retry = f"NO_PATH_RETRY_{handling.no_path_retry.name}"
    back = f"FAILBACK_{handling.failback.name}"
    others = settings(handling, "checker", "no_path_retry", "failback")
    return pb.PathFailureHandling(checker=checker, no_path_retry=retry, failback=back, **others)


def _host_spec(host_id: str, message: pb.MultipathHost) -> MultipathHostSpec:
    fields = given(message, MultipathHostSpec) | {
        "initiators": tuple(message.initiators),
        "selector": member(
            Selector,
            message.selector,
            "multipath_host.selector",
            MultipathHostSpec.selector,
        ),
        "selector_settings": _settings(message.selector_settings, SelectorSettings()),
        "claim_rules": tuple(
            _claim_rule(f"multipath_host.claim_rules[{index}]", rule)
            for index, rule in enumerate(message.claim_rules)
        ),
        "queue_control": _control(message.queue_control, QueueControl(), "multipath_host"),
        "path_failure_handling": _handling(
            message.path_failure_handling, PathFailureHandling(), "multipath_host"
        ),
    }
    return MultipathHostSpec(host_id, **fields)
