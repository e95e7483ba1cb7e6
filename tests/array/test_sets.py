"""Sets of hosts and of ports: what is exported to a set, and what is refused whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smokestack.array.model import ArrayModel
from smokestack.array.specs import (
    ArrayHostSpec,
    ExportSpec,
    HostSetSpec,
    InitiatorSpec,
    PortSetSpec,
    PortSpec,
    SetExportSpec,
    VolumeSpec,
)
from smokestack.engine.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Refused,
)
from smokestack.engine.records import Attention
from smokestack.v1 import array_pb2 as pb
from tests.api import ARRAY, Stack
from tests.array.test_array import attach, make_array
from tests.array.test_exports import told

GIB = 1 << 30


def cluster() -> ArrayModel:
    """Returns an array whose h1 sees v1 at LUN 0, with three more hosts, and a set of two."""
    array = make_array()
    array.create_port(PortSpec("p1", "c0", "fabric-a"))
    array.create_port(PortSpec("p2", "c0", "fabric-b"))
    for number in (2, 3, 4):
        initiator = InitiatorSpec(f"h{number}-a", "fabric-b" if number == 4 else "fabric-a")
        array.create_host(ArrayHostSpec(f"h{number}", (initiator,)))
    for volume_id in ("v2", "v3"):
        array.create_volume(VolumeSpec(volume_id, "p1", GIB))
    array.sets.create_host_set(HostSetSpec("hs1", ("h1", "h2")))
    array.sets.create_port_set(PortSetSpec("ps1", ("p1", "p2")))
    return array


def seen(array: ArrayModel, *initiators: str) -> list[tuple[str, str, str, int]]:
    """What these reach: initiator, port, volume, LUN."""
    return sorted(
        (n.initiator, n.target, n.volume.partition(".")[2], n.lun)
        for n in array.report_luns(initiators)
        if n.volume != "a1.v1"
    )


def test_a_volume_exported_to_a_set_has_the_lowest_lun_that_is_free_on_all_of_it() -> None:
    array = cluster()
    array.create_export(ExportSpec("v2", "h2", 1))
    assert array.sets.free_lun("hs1") == 2
    array.sets.create_export(SetExportSpec("v3", "hs1", 2, ("p0",)))
    assert seen(array, "h1-a", "h2-a") == [
        ("h1-a", "p0", "v3", 2),
        ("h2-a", "p0", "v2", 1),
        ("h2-a", "p0", "v3", 2),
        ("h2-a", "p1", "v2", 1),
    ]
    assert array.exports["v3", "h2"].host_set == "hs1"
    assert not array.exports["v2", "h2"].host_set


def test_hosts_that_join_see_what_the_set_sees_and_those_that_leave_do_not() -> None:
    array = cluster()
    array.sets.create_export(SetExportSpec("v2", "hs1", 5, ("p0",)))
    array.report_luns(["h1-a", "h2-a", "h3-a"])
    array.sets.update_host_set("hs1", ["h3", "h1"])
    assert told(array, "h1") == {()}, "nothing has changed for who stays"
    assert seen(array, "h1-a", "h2-a", "h3-a") == [
        ("h1-a", "p0", "v2", 5),
        ("h3-a", "p0", "v2", 5),
    ]
    kinds = [e.kind for e in array.events.after(0, 999)][-3:]
    assert kinds == ["HOST_SET_UPDATED", "EXPORT_DELETED", "EXPORT_CREATED"]
    array.sets.delete_export("v2", "hs1")
    assert seen(array, "h1-a", "h2-a", "h3-a") == []
    assert array.luns.volume("h1", 5) is None
    array.sets.delete_host_set("hs1")


def test_who_sees_it_already_is_told_that_its_luns_have_changed() -> None:
    array = cluster()
    array.report_luns(["h1-a"])
    array.sets.create_export(SetExportSpec("v2", "hs1", 1))
    assert (Attention.LUNS_CHANGED,) in told(array, "h1")


def test_a_set_of_ports_can_change_under_its_exports() -> None:
    array = attach(cluster())
    array.create_export(ExportSpec("v2", "h1", 1, ("p1", "p2"), "ps1"))
    assert seen(array, "h1-a") == [("h1-a", "p1", "v2", 1)]
    (old,) = [i for i, itl in enumerate(array.itls) if itl[0] == "v2"]
    array.sets.update_port_set("ps1", ["p0", "p2"])
    assert (Attention.LUNS_CHANGED,) in told(array, "h1")
    assert seen(array, "h1-a") == [("h1-a", "p0", "v2", 1)]
    why = array.events.get(int(array.state["itl"][old]["hidden"]))
    assert (array.state["itl"][old]["valid"], why.kind) == (0, "PORT_SET_UPDATED")
    array.sets.update_port_set("ps1", ["p0", "p1"])
    assert [port for _, port, _, _ in seen(array, "h1-a")] == ["p0", "p1"]
    array.delete_export("v2", "h1")
    array.sets.delete_port_set("ps1")


def _clash(array: ArrayModel) -> None:
    array.create_export(ExportSpec("v2", "h2", 1))
    array.sets.create_export(SetExportSpec("v3", "hs1", 1))


def _joins_with_a_clash(array: ArrayModel) -> None:
    array.sets.create_export(SetExportSpec("v2", "hs1", 1))
    array.create_export(ExportSpec("v3", "h3", 1))
    array.sets.update_host_set("hs1", ["h2", "h3"])


def _joins_unreached(array: ArrayModel) -> None:
    array.sets.create_export(SetExportSpec("v2", "hs1", 1, ("p0",)))
    array.sets.update_host_set("hs1", ["h2", "h4"])


def _shown_already(array: ArrayModel) -> None:
    array.create_export(ExportSpec("v2", "h2", 1))
    array.sets.create_export(SetExportSpec("v2", "hs1", 2))


def _unreached(array: ArrayModel) -> None:
    array.sets.create_port_set(PortSetSpec("ps2", ("p2",)))
    array.create_export(ExportSpec("v2", "h1", 1, ("p2",), "ps2"))


def _left_unreached(array: ArrayModel) -> None:
    array.sets.create_export(SetExportSpec("v2", "hs1", 1, port_set="ps1"))
    array.sets.update_port_set("ps1", ["p2"])


def _of_a_set(array: ArrayModel) -> None:
    array.sets.create_export(SetExportSpec("v2", "hs1", 1))
    array.delete_export("v2", "h2")


def _set_in_use(array: ArrayModel) -> None:
    array.sets.create_export(SetExportSpec("v2", "hs1", 1))
    array.sets.delete_host_set("hs1")


def _ports_in_use(array: ArrayModel) -> None:
    array.sets.create_export(SetExportSpec("v2", "hs1", 1, port_set="ps1"))
    array.sets.delete_port_set("ps1")


def _made(hosts: tuple[str, ...]) -> Callable[[ArrayModel], None]:
    return lambda array: array.sets.create_host_set(HostSetSpec("hs2", hosts))


REFUSALS = [
    (_made(()), InvalidArgument, r"^host_set.hosts: is empty"),
    (_made(("h1", "h9")), InvalidArgument, r"^host_set.hosts\[1\]: 'h9' is no host .*: h1, h2"),
    (_made(("h1", "h1")), InvalidArgument, r"^host_set.hosts\[1\]: 'h1' stands here twice"),
    (
        lambda a: a.sets.create_host_set(HostSetSpec("hs1", ("h1",))),
        AlreadyExists,
        "arrays/a1/hostSets/hs1 exists",
    ),
    (
        lambda a: a.sets.create_port_set(PortSetSpec("ps2", ("p9",))),
        InvalidArgument,
        r"^port_set.ports\[0\]: 'p9' is no port of arrays/a1: p0, p1, p2",
    ),
    (lambda a: a.sets.update_host_set("hs9", ["h1"]), NotFound, "hostSets/hs9"),
    (lambda a: a.sets.update_port_set("ps9", ["p0"]), NotFound, "portSets/ps9"),
    (lambda a: a.sets.delete_export("v2", "hs1"), NotFound, "setExports/v2.hs1"),
    (
        lambda a: a.sets.create_export(SetExportSpec("v2", "hs1", 20_000)),
        InvalidArgument,
        r"set_export.lun",
    ),
    (_clash, AlreadyExists, r"^set_export.lun: LUN 1 of .*/h2 is .*/v2 already: 2 is free on all"),
    (_shown_already, AlreadyExists, r"^set_export.host_set: arrays/a1/exports/v2.h2 exists"),
    (_joins_with_a_clash, AlreadyExists, r"^host_set.hosts\[1\]: LUN 1 of .*/h3 is .*/v3 already"),
    (_joins_unreached, InvalidArgument, r"^host_set.hosts\[1\]: 'p0' is on fabric-a, 'h4' on"),
    (_unreached, InvalidArgument, r"^export.port_set: has no port that 'h1' reaches"),
    (_left_unreached, InvalidArgument, r"^port_set.ports: has no port that 'h1' reaches"),
    (_of_a_set, FailedPrecondition, r"take the host out of the set, or delete .*setExports/v2.hs1"),
    (_set_in_use, FailedPrecondition, "hostSets/hs1 is in use by exports of volumes v2"),
    (_ports_in_use, FailedPrecondition, "portSets/ps1 is in use by exports of volumes v2"),
    (lambda a: a.delete_host("h2"), FailedPrecondition, "in use by sets of hosts hs1"),
    (lambda a: a.delete_port("p2"), FailedPrecondition, "in use by sets of ports ps1"),
]


@pytest.mark.parametrize(("call", "refusal", "message"), REFUSALS)
def test_what_cannot_be_is_refused_whole(
    call: Callable[[ArrayModel], None], refusal: type[Refused], message: str
) -> None:
    array = cluster()
    with pytest.raises(refusal, match=message):
        call(array)
    last = list(array.events.after(0, 999))[-1].kind
    assert last in ("PORT_SET_CREATED", "EXPORT_CREATED"), "nothing was changed, nothing told"
    for (volume_id, host_id), export in array.exports.items():
        assert array.luns.volume(host_id, export.lun) == volume_id
    assert array.host_sets["hs1"].hosts == ("h1", "h2")
    assert array.port_sets["ps1"].ports == ("p1", "p2")
    for volume_id, host_set_id in array.set_exports:
        for host_id in array.host_sets[host_set_id].hosts:
            assert array.exports[volume_id, host_id].host_set == host_set_id


def test_a_snapshot_has_the_sets_and_what_is_exported_to_them() -> None:
    array = cluster()
    array.sets.create_export(SetExportSpec("v2", "hs1", 1, port_set="ps1"))
    before = seen(array, "h1-a", "h2-a", "h3-a")
    part = array.keeper.parts["model"]
    saved = part.save()
    array.sets.update_host_set("hs1", ["h3"])
    array.sets.update_port_set("ps1", ["p0"])
    assert seen(array, "h1-a", "h2-a", "h3-a") == [("h3-a", "p0", "v2", 1)]
    part.load(saved)()
    assert seen(array, "h1-a", "h2-a", "h3-a") == before
    array.sets.delete_export("v2", "hs1")
    assert not array.set_exports and ("v2", "h1") not in array.exports


def test_the_wire_says_where_an_export_comes_from() -> None:
    stack = Stack()
    api = stack.array
    stack.create_volume("v2")
    api.CreateHostSet(
        pb.CreateHostSetRequest(
            parent=ARRAY, host_set_id="hs1", host_set=pb.HostSet(hosts=[f"{ARRAY}/hosts/h1"])
        )
    )
    api.CreatePortSet(
        pb.CreatePortSetRequest(
            parent=ARRAY, port_set_id="ps1", port_set=pb.PortSet(ports=[f"{ARRAY}/ports/p0"])
        )
    )
    asked = pb.SetExport(
        volume=f"{ARRAY}/volumes/v2",
        host_set=f"{ARRAY}/hostSets/hs1",
        port_set=f"{ARRAY}/portSets/ps1",
    )
    made = api.CreateSetExport(pb.CreateSetExportRequest(parent=ARRAY, set_export=asked))
    assert (made.name, made.lun) == (f"{ARRAY}/setExports/v2.hs1", 1)
    export = api.GetExport(pb.GetExportRequest(name=f"{ARRAY}/exports/v2.h1"))
    assert export.host_set == asked.host_set
    assert (export.port_set, list(export.ports)) == (asked.port_set, [])
    both = pb.SetExport(volume=asked.volume, host_set=asked.host_set, ports=[f"{ARRAY}/ports/p0"])
    both.port_set = asked.port_set
    with pytest.raises(InvalidArgument, match=r"set_export.port_set: is given beside ports"):
        api.CreateSetExport(pb.CreateSetExportRequest(parent=ARRAY, set_export=both))
    with pytest.raises(InvalidArgument, match=r"host_set.hosts\[0\]: .* form of a full name"):
        api.UpdateHostSet(
            pb.UpdateHostSetRequest(host_set=pb.HostSet(name=asked.host_set, hosts=["h1"]))
        )
    for listing, kind in (("set_exports", "SetExports"), ("host_sets", "HostSets")):
        request = getattr(pb, f"List{kind}Request")(parent=ARRAY)
        assert len(getattr(getattr(api, f"List{kind}")(request), listing)) == 1
    api.DeleteSetExport(pb.DeleteSetExportRequest(name=made.name))
    assert len(api.ListExports(pb.ListExportsRequest(parent=ARRAY)).exports) == 1
