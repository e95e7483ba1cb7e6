"""Exports: whom the array tells what changed, and what it refuses."""

from __future__ import annotations

import pytest

from smokestack.array.attentions import pending
from smokestack.array.model import ArrayModel
from smokestack.array.specs import ArrayHostSpec, ExportSpec, InitiatorSpec, PortSpec, VolumeSpec
from smokestack.engine.errors import AlreadyExists, InvalidArgument
from smokestack.engine.records import Attention, Op, Sense, sense_text
from tests.array.test_array import attach, make_array, serve

GIB = 1 << 30


def two_fabrics() -> ArrayModel:
    array = make_array()
    array.create_port(PortSpec("p1", "c0", "fabric-b"))
    array.create_port(PortSpec("p2", "c0", "fabric-c"))
    initiators = (InitiatorSpec("h2-a", "fabric-a"), InitiatorSpec("h2-b", "fabric-b"))
    array.create_host(ArrayHostSpec("h2", initiators))
    array.create_volume(VolumeSpec("v2", "p1", GIB))
    return array


def told(array: ArrayModel, host_id: str) -> set[tuple[Attention, ...]]:
    """What the nexuses of a host have to tell."""
    return {pending(array, itl) for itl in array.itls_of_host[host_id]}


def test_one_volume_is_shown_under_different_luns_and_on_one_fabric_only() -> None:
    array = two_fabrics()
    array.create_export(ExportSpec("v1", "h2", 7, ports=("p1",)))
    split = [(n.initiator, n.target, n.lun) for n in array.report_luns(["h1-a", "h2-a", "h2-b"])]
    assert split == [("h1-a", "p0", 0), ("h2-b", "p1", 7)]
    array.create_port(PortSpec("p3", "c0", "fabric-b"))
    assert len(array.report_luns(["h2-b"])) == 1, "a new port is none of those named"


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        (("p9",), r"export.ports\[0\].*'p9' is no port of arrays/a1: p0, p1, p2"),
        (("p1", "p1"), r"export.ports\[1\].*twice"),
        (("p2",), "'p2' is on fabric-c, 'h2' on fabric-a, fabric-b only"),
    ],
)
def test_ports_that_cannot_be_are_refused(ports: tuple[str, ...], message: str) -> None:
    array = two_fabrics()
    with pytest.raises(InvalidArgument, match=message):
        array.create_export(ExportSpec("v1", "h2", 7, ports))
    assert ("v1", "h2") not in array.exports


def test_a_lun_that_is_taken_is_refused_with_the_volume_that_has_it() -> None:
    array = two_fabrics()
    with pytest.raises(AlreadyExists, match=r"LUN 0 of arrays/a1/hosts/h1 is arrays/a1/volumes/v1"):
        array.create_export(ExportSpec("v2", "h1", 0))


def test_who_has_asked_is_told_by_what_it_reached_before_that_its_luns_changed() -> None:
    array = two_fabrics()
    array.create_export(ExportSpec("v2", "h2", 0))
    assert told(array, "h2") == {()}, "nobody has asked yet"
    array.report_luns(["h1-a", "h2-a", "h2-b"])
    array.create_export(ExportSpec("v2", "h1", 1))
    assert [pending(array, itl) for itl in array.itls_of_host["h1"]] == [
        (Attention.LUNS_CHANGED,),
        (),
    ]
    assert told(array, "h2") == {()}
    array.report_luns(["h1-a"])
    assert told(array, "h1") == {()}, "asking answers it"
    array.delete_export("v1", "h1")
    assert [pending(array, itl) for itl in array.itls_of_host["h1"]] == [
        (),
        (Attention.LUNS_CHANGED,),
    ]


def test_another_volume_at_a_known_lun_is_told_by_the_nexus_of_the_one_that_was() -> None:
    array = attach(two_fabrics())
    array.report_luns(["h1-a"])
    array.delete_export("v1", "h1")
    array.create_export(ExportSpec("v2", "h1", 0))
    (first,) = serve(array, (array.now_ns, 1, Op.READ, 0, 512), for_ns=10**6)
    (second,) = serve(array, (array.now_ns, 2, Op.READ, 0, 512), for_ns=10**6)
    assert first["sense"] == Sense.INQUIRY_CHANGED
    assert array.events.get(int(first["cause"])).kind == "EXPORT_CREATED"
    assert second["sense"] == Sense.LU_NOT_SUPPORTED, "never the other volume's data"


def test_a_volume_that_grows_says_so_once_on_each_nexus() -> None:
    array = attach(make_array())
    array.update_volume_capacity("v1", 2 * GIB)
    array.update_volume_capacity("v1", 2 * GIB)
    answers = serve(array, *((n * 500_000, n, Op.READ, 0, 512) for n in range(2)))
    assert [sense_text(a["sense"]) for a in answers] == ["6/2A/09", "0/00/00"]
    resized = [e.number for e in array.events.after(0, 99) if e.kind == "VOLUME_RESIZED"]
    assert answers[0]["cause"] == resized[0]
