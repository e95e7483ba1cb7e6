"""Bad input: an exception for each status, with all that the service said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smokestack.client import GiB, Patience, Stack, connect, connect_array, errors


@pytest.mark.parametrize(
    ("call", "error", "message", "details"),
    [
        (
            lambda s: s.array("a1").volumes.create("v9", pool="p1", capacity_bytes=3),
            errors.InvalidArgument,
            "volume.capacity_bytes: 3 ",
            {"violations": ["volume.capacity_bytes"]},
        ),
        (
            lambda s: s.array("a1").volumes.create("V9", pool="p1", capacity_bytes=GiB),
            errors.InvalidArgument,
            "volume_id: 'V9' is no id",
            {"violations": ["volume_id"], "rpc": "ArrayService.CreateVolume"},
        ),
        (
            lambda s: s.array("a1").volumes.get("none"),
            errors.NotFound,
            "arrays/a1/volumes/none does not exist",
            {"resource": "arrays/a1/volumes/none", "rpc": "ArrayService.GetVolume"},
        ),
        (
            lambda s: s.array("a1").volumes.create("v1", pool="p1", capacity_bytes=GiB),
            errors.AlreadyExists,
            "arrays/a1/volumes/v1 exists already",
            {"resource": "arrays/a1/volumes/v1"},
        ),
        (
            lambda s: s.array("a1").volumes["v1"].delete(),
            errors.FailedPrecondition,
            "in use",
            {"reason": "IN_USE"},
        ),
        (
            lambda s: s.array("a1").exports.create(volume="v3", host="h1", lun=0),
            errors.AlreadyExists,
            "LUN 0",
            {"reason": "LUN_IN_USE"},
        ),
        (
            lambda s: s.hypervisor.hosts["h1"].vms["v1"].disks.create("d9", device="a1.none"),
            errors.InvalidArgument,
            "no device",
            {"violations": ["disk.device"]},
        ),
        (
            lambda s: s.hypervisor.traces.upload("t1", b"nonsense", format="vscsi1"),
            errors.InvalidArgument,
            "offset",
            {"violations": ["data"]},
        ),
        (
            lambda s: s.multipath.hosts["h1"].devices["a1.v1"].update(),
            errors.InvalidArgument,
            "update_mask",
            {"violations": ["update_mask"]},
        ),
        (
            lambda s: s.multipath.hosts["h1"].devices["a1.v1"].update(selector="BEST"),
            errors.InvalidArgument,
            "'BEST' is none of FIXED, ROUND_ROBIN, QUEUE_LENGTH",
            {"violations": ["device.selector"]},
        ),
        (
            lambda s: s.array("a1").volumes["v1"].update(capacity_bytes=1 << 70),
            errors.InvalidArgument,
            "out of range",
            {"violations": ["volume.capacity_bytes"]},
        ),
        (lambda s: s.array("a2"), errors.NotFound, "no array 'a2'.*arrays/a1 at 127", {}),
    ],
)
def test_what_is_refused_comes_as_an_exception_with_details(
    stack: Stack,
    call: Callable[[Any], Any],
    error: type[errors.Error],
    message: str,
    details: dict[str, Any],
) -> None:
    with pytest.raises(error, match=message) as caught:
        call(stack)
    assert "\n" not in str(caught.value)
    found = vars(caught.value) | {"violations": [v.field for v in caught.value.violations]}
    assert {name: found[name] for name in details} == details


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pool": "p1", "capacity": 5}, "no field 'capacity': it has pool, capacity_bytes"),
        ({"pool": "p1", "capacity_bytes": "40 GiB"}, "volume.capacity_bytes cannot be '40 GiB'"),
        ({"pool": 1, "capacity_bytes": 5}, "volume.pool cannot be 1"),
    ],
)
def test_what_cannot_be_sent_is_a_type_error(
    stack: Stack, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        stack.array("a1").volumes.create("v9", **fields)


def test_the_wrong_service_says_who_it_is(stack: Stack) -> None:
    address = stack.addresses["multipaths/m1"]
    with pytest.raises(errors.NotFound, match="serves multipaths/m1"):
        connect_array(address)
    with connect({"arrays/a1": address}) as wrong:
        with pytest.raises(errors.Unimplemented, match=r"does not serve ArrayService\.GetArray"):
            wrong.array("a1").reload()
        with pytest.raises(errors.NotFound, match="no hypervisor"):
            print(wrong.hypervisor)


def test_nobody_there_is_said_in_plain_words() -> None:
    with pytest.raises(errors.Unavailable) as caught:
        connect("127.0.0.1:1", Patience(attempts=1))
    assert str(caught.value) == "nothing answers at 127.0.0.1:1: connection refused"
