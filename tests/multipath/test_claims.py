"""Claim rules: a vendor's plug-in takes its own arrays only, whatever the rules ask."""

from __future__ import annotations

import pytest

from smokestack.array.model import ArrayModel
from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.multipath.claims import claimed
from smokestack.multipath.specs import ClaimRule, MultipathHostSpec, Plugin, Selector
from smokestack.v1 import array_pb2
from smokestack.v1 import multipath_pb2 as pb
from tests.api import ARRAY, DEVICE, MULTIPATH, Stack

ACME = ClaimRule(plugin=Plugin.VENDOR, plugin_vendor="ACME")
FIXED = ClaimRule(vendor="A*E", selector=Selector.FIXED)


@pytest.mark.parametrize(
    ("rules", "vendor", "expected"),
    [
        ((), "ACME", Selector.LATENCY),
        ((ACME,), "ACME", Selector.VENDOR),
        ((ACME,), "ACM", Selector.LATENCY),  # its pattern matches all, its plug-in its own
        ((ACME, FIXED), "ABLE", Selector.FIXED),  # passed over, so that the next rule decides
        ((FIXED, ACME), "ACME", Selector.FIXED),  # the first decides
        ((ClaimRule(array="a2", selector=Selector.FIXED),), "ACME", Selector.LATENCY),
        ((ClaimRule(model="VV*"),), "ACME", Selector.LATENCY),
        ((ClaimRule(), FIXED), "ACME", Selector.LATENCY),  # native, with the host's policy
    ],
)
def test_the_first_rule_that_takes_a_device_decides(
    rules: tuple[ClaimRule, ...], vendor: str, expected: Selector
) -> None:
    spec = MultipathHostSpec("h1", ("h1-a",), Selector.LATENCY, claim_rules=rules)
    assert claimed(spec, vendor, "VVX", "a1") == expected


def claim(stack: Stack, *rules: pb.ClaimRule) -> pb.Device:
    """Makes the host anew with rules; returns its device."""
    stack.array.DeleteExport(array_pb2.DeleteExportRequest(name=f"{ARRAY}/exports/v1.h1"))
    stack.rescan()
    name = f"{MULTIPATH}/hosts/h1"
    before = stack.multipath.GetMultipathHost(pb.GetMultipathHostRequest(name=name))
    stack.multipath.DeleteMultipathHost(pb.DeleteMultipathHostRequest(name=name))
    host = pb.MultipathHost(initiators=before.initiators, claim_rules=rules)
    request = pb.CreateMultipathHostRequest(
        parent=MULTIPATH, multipath_host_id="h1", multipath_host=host
    )
    made = stack.multipath.CreateMultipathHost(request)
    assert len(made.claim_rules) == len(rules)
    stack.create_export("v1")
    stack.rescan()
    return stack.multipath.GetDevice(pb.GetDeviceRequest(name=DEVICE))


def describe(stack: Stack, **fields: object) -> array_pb2.Array:
    array = array_pb2.Array(name=ARRAY, **fields)
    return stack.array.UpdateArray(array_pb2.UpdateArrayRequest(array=array))


def test_a_device_says_whose_software_handles_it() -> None:
    stack = Stack()
    assert describe(stack, vendor="ACME", model="VV").vendor == "ACME"
    rule = pb.ClaimRule(plugin=pb.PLUGIN_VENDOR, plugin_vendor="ACME")
    device = claim(stack, rule)
    assert (device.vendor, device.model) == ("ACME", "VV")
    assert (device.plugin, device.selector) == (pb.PLUGIN_VENDOR, pb.SELECTOR_VENDOR)
    change = pb.UpdateDeviceRequest(device=pb.Device(name=DEVICE, selector=pb.SELECTOR_FIXED))
    with pytest.raises(FailedPrecondition, match=r"claimed by ACME's plug-in.*claim rules"):
        stack.multipath.UpdateDevice(change)
    change = pb.UpdateDeviceRequest(device=pb.Device(name=DEVICE))
    change.update_mask.paths.append("*")
    assert stack.multipath.UpdateDevice(change).selector == pb.SELECTOR_VENDOR
    device = claim(stack, pb.ClaimRule(vendor="AC*", selector=pb.SELECTOR_FIXED), rule)
    assert (device.plugin, device.selector) == (pb.PLUGIN_NATIVE, pb.SELECTOR_FIXED)


@pytest.mark.parametrize(
    ("rule", "violation"),
    [
        (pb.ClaimRule(plugin=pb.PLUGIN_VENDOR), r"\[0\].plugin_vendor: is empty"),
        (pb.ClaimRule(plugin_vendor="ACME"), r"\[0\].plugin_vendor: is set, but"),
        (pb.ClaimRule(selector=pb.SELECTOR_VENDOR), r"\[0\].selector: VENDOR comes by"),
        (
            pb.ClaimRule(plugin=pb.PLUGIN_VENDOR, plugin_vendor="ACME", selector=pb.SELECTOR_FIXED),
            r"\[0\].selector: is set, but a vendor's",
        ),
        (pb.ClaimRule(plugin=7), r"\[0\].plugin: 7 is none of"),
        (pb.ClaimRule(vendor="x" * 65), r"\[0\].vendor: .* is not 1 to 64 characters"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rule: pb.ClaimRule, violation: str) -> None:
    stack = Stack()
    host = pb.MultipathHost(initiators=["h2-a"], claim_rules=[rule])
    request = pb.CreateMultipathHostRequest(
        parent=MULTIPATH, multipath_host_id="h2", multipath_host=host
    )
    with pytest.raises(InvalidArgument, match=rf"multipath_host\.claim_rules{violation}"):
        stack.multipath.CreateMultipathHost(request)
    listed = stack.multipath.ListMultipathHosts(pb.ListMultipathHostsRequest(parent=MULTIPATH))
    assert len(listed.multipath_hosts) == 1


def test_what_an_array_says_that_it_is_fits_an_inquiry() -> None:
    stack = Stack()
    for wrong in ({"vendor": "NINECHARS"}, {"model": "x" * 17}, {"vendor": "Ä"}):
        with pytest.raises(InvalidArgument, match=r"array\."):
            describe(stack, **wrong)
    found = stack.array.GetArray(array_pb2.GetArrayRequest(name=ARRAY))
    assert (found.vendor, found.model, found.hints_enabled) == ("SMOKE", "STACK", False)


def test_hints_are_not_turned_on_while_windows_run() -> None:
    array = ArrayModel("a1")
    array.driver = "hypervisors/hv1"
    with pytest.raises(FailedPrecondition, match="driven by hypervisors/hv1"):
        array.update_product(hints_enabled=True)
    array.update_product(model="NEW")
    assert not array.product.hints_enabled
