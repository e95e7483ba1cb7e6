"""The SDK has all of the API: each method, each field, each choice."""

from __future__ import annotations

import re
import typing
from typing import Any

import pytest

import smokestack.client
from smokestack.client import (
    array,
    events,
    faults,
    hardware,
    hypervisor,
    multipath,
    sets,
    snapshots,
    words,
)
from smokestack.client.clock import Clock
from smokestack.client.kinds import enum_words
from smokestack.client.resources import Collection, Deletable, Resource
from smokestack.client.sessions import STUBS
from smokestack.client.stack import Stack
from smokestack.v1 import (
    array_pb2,
    estate_pb2,
    faults_pb2,
    hypervisor_pb2,
    multipath_pb2,
    simulation_pb2,
)

MODULES = (array, events, faults, hardware, hypervisor, multipath, sets, snapshots)
FILES = (array_pb2, estate_pb2, faults_pb2, hypervisor_pb2, multipath_pb2, simulation_pb2)
RESOURCES = [
    found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Resource) and "of_kind" in vars(found)
]
OTHER = {  # than Create, Get, List, Update, Delete
    "Advance": Clock.advance,
    "GetSimulation": Clock.simulation,
    "UpdateClock": Clock.set_clock,
    "Reset": Clock.reset,
    "InjectFault": faults.Faults.inject,
    "ClearFault": faults.Fault.clear,
    "ListFaultKinds": faults.Faults.kinds,
    "RestoreSnapshot": snapshots.Snapshot.restore,
    "ExportSnapshot": snapshots.Snapshot.export,
    "ImportSnapshot": snapshots.Snapshots.import_,
    "StartRecording": snapshots.History.start_recording,
    "GetRecording": snapshots.History.recording,
    "FillPool": array.Pool.fill,
    "UnmapVolume": array.Volume.unmap,
    "GetLbaStatus": array.Volume.lba_status,
    "GetVolumeReservations": array.Volume.reservations,
    "PersistentReserveOut": array.Export.persistent_reserve,
    "RebootController": hardware.Controller.reboot,
    "ResetDevice": multipath.Device.reset,
    "RescanMultipathHost": multipath.MultipathHost.rescan,
    "GetDeviceStatistics": multipath.Device.statistics,
    "WatchPaths": multipath.Multipath.watch_paths,
    "GetPathStatistics": multipath.Path.statistics,
    "GetAdapterStatistics": multipath.Adapter.statistics,
    "StopJob": hypervisor.Job.stop,
    "UploadTrace": hypervisor.Traces.upload,
    "SubmitIo": hypervisor.Disk.read,
    "GetStatistics": hypervisor.Hypervisor.statistics,
    "WatchEvents": events.Events.watch,
    "AuditAdvertised": Stack.audit,
    "MarkLatency": Stack.mark_latency,
    "AttributeLatency": Stack.attribute_latency,
    "GetDarkStorageReport": Stack.dark_storage,
    "Reclaim": Stack.reclaim,
    "SetIoShares": Stack.set_io_shares,
    "MeasureVolumes": array.Volumes.measure,
    "GetTopology": Stack.topology,
}


def message_of(resource: type[Resource[Any]]) -> Any:
    return resource.of_kind.message


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.__name__)
def test_every_field_is_a_typed_attribute(resource: type[Resource[Any]]) -> None:
    descriptor = message_of(resource).DESCRIPTOR
    hints = typing.get_type_hints(resource)
    assert set(descriptor.fields_by_name) <= set(hints)
    declared = set(resource.__annotations__)
    assert declared == set(descriptor.fields_by_name) - {"name"}
    for field in descriptor.fields:
        python = {1: float, 3: int, 5: int, 8: bool, 9: str}.get(field.type)
        if python is not None and hints[field.name] is not python:
            assert hints[field.name] in (tuple[python, ...], python | None), field.full_name


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.__name__)
def test_every_method_can_be_called(file: Any) -> None:
    for service in file.DESCRIPTOR.services_by_name.values():
        assert service.name in STUBS
        for method in service.methods:
            if method.name in OTHER:
                continue
            [verb] = re.findall(r"^(?:BatchCreate|[A-Z][a-z]+)", method.name)
            word = method.name.removeprefix(verb)
            [resource] = [r for r in RESOURCES if word in (r.of_kind.word, f"{r.of_kind.word}s")]
            assert _has(resource, verb), method.name


def _has(resource: type[Resource[Any]], verb: str) -> bool:
    [collection] = {
        found
        for module in MODULES
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Collection)
        and getattr(found, "resource", None) is resource
    } or [Collection]
    if verb == "Delete":
        return issubclass(resource, Deletable)
    if verb == "Update":
        return any(name in vars(resource) for name in ("update", "disable"))
    if verb in ("Create", "BatchCreate"):
        return {"Create": "create", "BatchCreate": "batch_create"}[verb] in vars(collection)
    return True


def test_every_choice_of_words_is_the_apis() -> None:
    enums = {name: e for file in FILES for name, e in file.DESCRIPTOR.enum_types_by_name.items()}
    literals = {
        name: typing.get_args(value)
        for name, value in vars(words).items()
        if typing.get_origin(value) is typing.Literal
    }
    assert len(literals) >= 10
    for name, choice in literals.items():
        assert list(choice) == enum_words(enums[name]), name


@pytest.mark.parametrize(
    ("fields", "resource"),
    [
        (fields, resource)
        for module in MODULES
        for resource in RESOURCES
        for suffix in ("Fields", "Update")
        if (fields := vars(module).get(f"{resource.__name__}{suffix}"))
    ],
    ids=lambda value: value.__name__,
)
def test_what_can_be_given_can_be_read_too(fields: Any, resource: type[Resource[Any]]) -> None:
    given = set(typing.get_type_hints(fields))
    assert given <= set(message_of(resource).DESCRIPTOR.fields_by_name)


def test_what_is_exported_exists() -> None:
    for name in smokestack.client.__all__:
        assert getattr(smokestack.client, name) is not None
