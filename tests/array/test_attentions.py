"""Unit attentions: told once by each nexus, in order, by a command that has no effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smokestack import engine
from smokestack.array.attentions import pending
from smokestack.array.specs import ExportSpec, VolumeSpec
from smokestack.engine.errors import NotFound
from smokestack.engine.records import Attention, Op, Sense, Status, sense_text
from tests.array.test_array import PAGE, attach, make_array, serve

INCLUDE = Path(next(iter(engine.__path__))) / "include" / "smokestack"


def enums(header: str, prefix: str) -> list[tuple[str, str]]:
    """Members of a header's enums as (name, value), in order; a value may be empty."""
    text = (INCLUDE / header).read_text(encoding="utf-8")
    return re.findall(rf"^    {prefix}_(\w+)(?: = (\w+))?,?(?: /\*.*\*/)?$", text, re.MULTILINE)


def test_codes_and_senses_are_the_same_in_python_and_c() -> None:
    codes = [name for name, _ in enums("attentions.h", "ATTENTION")]
    assert codes == [*(attention.name for attention in Attention), "COUNT"]
    assert {
        name: int(value, 16 if "x" in value else 10) for name, value in enums("records.h", "SENSE")
    } == {sense.name: int(sense) for sense in Sense}


def test_the_next_command_is_told_and_has_no_effect() -> None:
    array = attach(make_array())
    cause = array.events.last
    assert array.establish_attention(Attention.CAPACITY_CHANGED, cause) == 1
    first, second = serve(array, (0, 1, Op.WRITE, 0, 8192), (500_000, 2, Op.WRITE, 0, 8192))
    assert (first["status"], first["sense"]) == (Status.CHECK_CONDITION, Sense.CAPACITY_CHANGED)
    assert first["cause"] == cause
    assert (second["status"], second["sense"]) == (Status.GOOD, Sense.NONE)
    assert array.pool_usage("p1").allocated_bytes == PAGE, "by the second alone"
    assert int(array.state.row["page_pending"]) == 0


def test_several_are_told_in_order_and_a_power_on_forgets_what_was_before_it() -> None:
    array = attach(make_array())
    for attention in (Attention.SOFT_THRESHOLD, Attention.LUNS_CHANGED, Attention.ACCESS_CHANGED):
        array.establish_attention(attention)
    assert pending(array, 0) == (
        Attention.LUNS_CHANGED,
        Attention.ACCESS_CHANGED,
        Attention.SOFT_THRESHOLD,
    )
    array.establish_attention(Attention.POWER_ON)
    array.establish_attention(Attention.LUN_RESET)
    array.establish_attention(Attention.LUN_RESET)
    answers = serve(array, *((n * 500_000, n, Op.READ, 0, 512) for n in range(3)))
    assert [sense_text(a["sense"]) for a in answers] == ["6/29/00", "6/29/03", "0/00/00"]


def test_a_unit_that_is_not_there_says_so_first_and_an_address_is_checked_last() -> None:
    array = attach(make_array())
    array.establish_attention(Attention.LUNS_CHANGED)
    (wrong,) = serve(array, (0, 1, Op.READ, 1 << 30, 512), for_ns=10**6)
    assert wrong["sense"] == Sense.LUNS_CHANGED
    array.establish_attention(Attention.LUNS_CHANGED)
    array.delete_export("v1", "h1")
    (gone,) = serve(array, (array.now_ns, 2, Op.READ, 0, 512), for_ns=10**6)
    assert gone["sense"] == Sense.LU_NOT_SUPPORTED


def test_a_name_chooses_whose_nexuses_are_told() -> None:
    array = make_array()
    array.create_volume(VolumeSpec("v2", "p1", 1 << 20))
    array.create_export(ExportSpec("v2", "h1", 1))
    told = array.establish_attention
    assert told(Attention.MODE_CHANGED, volume_id="v2") == 1
    assert (pending(array, 0), pending(array, 1)) == ((), (Attention.MODE_CHANGED,))
    assert told(Attention.NEXUS_LOSS, initiator="h1-a") == 2
    assert told(Attention.NEXUS_LOSS, port_id="p0", host_id="h1", volume_id="v1") == 1
    assert told(Attention.NEXUS_LOSS, initiator="h2-a") == 0
    with pytest.raises(NotFound, match="arrays/a1/ports/p9"):
        told(Attention.NEXUS_LOSS, port_id="p9")
    array.delete_export("v2", "h1")
    assert told(Attention.POWER_ON) == 1, "a nexus that is gone tells nothing"


def test_what_waits_to_be_told_is_part_of_a_snapshot() -> None:
    array = attach(make_array())
    array.establish_attention(Attention.SOFT_THRESHOLD)
    (piece,) = (array.keeper.save("s1"),)
    serve(array, (0, 1, Op.READ, 0, 512), for_ns=10**6)
    assert pending(array, 0) == ()
    other = make_array()
    other.keeper.stage(piece)
    other.keeper.restore()
    assert pending(other, 0) == (Attention.SOFT_THRESHOLD,)
