"""Every format reads back what was written in it, and refuses damage where it stands."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smokestack.engine.errors import InvalidArgument
from smokestack.engine.records import TRACE, Op
from smokestack.workload.traces import FORMATS, msr_cambridge, parse, systor17, tencent
from smokestack.workload.traces.vscsi1 import RECORD as VSCSI1
from smokestack.workload.traces.vscsi2 import RECORD as VSCSI2

Commands = list[tuple[int, int, int, bool]]  # time in ticks, block, length in blocks, is read


def vscsi(record: np.dtype[Any], version: int) -> Callable[[Commands], bytes]:
    def write(commands: Commands) -> bytes:
        rows = np.zeros(len(commands), record)
        for row, (ticks, block, blocks, is_read) in zip(rows, commands, strict=True):
            row["ver"], row["nsg"] = version, 1
            row["ts"], row["lbn"], row["len"] = ticks + 77, block, blocks * 512
            row["cmd"] = 0x28 if is_read else 0x2A
        return rows.tobytes()

    return write


def msr(commands: Commands) -> bytes:
    base = 128_000_000_000_000_000
    return "".join(
        f"{base + t},web,3,{'Read' if r else 'Write'},{b * 512},{n * 512},99\n"
        for t, b, n, r in commands
    ).encode()


def systor(commands: Commands) -> bytes:
    def line(t: int, b: int, n: int, r: bool) -> str:
        time = f"{1_500_000_000 + t // 10**9}.{t % 10**9:09d}"
        return f"{time},0.000500000,{'R' if r else 'W'},2,{b * 512},{n * 512}\n"

    return "".join(line(*command) for command in commands).encode()


def tencent_csv(commands: Commands) -> bytes:
    return "".join(
        f"{1_538_000_000 + t},{b},{n},{0 if r else 1},1283\n" for t, b, n, r in commands
    ).encode()


def fio3(commands: Commands) -> bytes:
    lines = ["fio version 3 iolog", "0 /dev/sdx add", "3 /dev/sdx open"]
    lines += [
        f"{t + 5} /dev/sdx {'read' if r else 'write'} {b * 512} {n * 512}"
        for t, b, n, r in commands
    ]
    return ("\n".join([*lines, f"{10**15} /dev/sdx close"]) + "\n").encode()


def fio2(commands: Commands) -> bytes:
    lines = ["fio version 2 iolog", "/dev/sdx add", "/dev/sdx open"]
    now = 0
    for t, b, n, r in commands:
        lines.append(f"/dev/sdx wait {t - now} 0")
        lines.append(f"/dev/sdx {'read' if r else 'write'} {b * 512} {n * 512}")
        now = t
    return "\n".join(lines).encode()


# How a file of random commands is written, and the nanoseconds of one tick.
WRITERS: dict[str, tuple[str, Callable[[Commands], bytes], int]] = {
    "vscsi1": ("vscsi1", vscsi(VSCSI1, 0x0100), 1000),
    "vscsi2": ("vscsi2", vscsi(VSCSI2, 0x0200), 1000),
    "msr-cambridge": ("msr-cambridge", msr, 100),
    "systor17": ("systor17", systor, 1),
    "tencent": ("tencent", tencent_csv, 1_000_000_000),
    "fio-iolog-2": ("fio-iolog", fio2, 1000),
    "fio-iolog-3": ("fio-iolog", fio3, 1000),
}

commands_in_order = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.integers(0, 1 << 36), st.integers(1, 1 << 22), st.booleans()
    ),
    min_size=1,
    max_size=50,
).map(sorted)


def records_of(commands: Commands, tick_ns: int) -> np.ndarray[Any, Any]:
    result = np.zeros(len(commands), TRACE)
    for record, (ticks, block, blocks, is_read) in zip(result, commands, strict=True):
        record["time_ns"] = (ticks - commands[0][0]) * tick_ns
        record["lba"], record["length"] = block, blocks * 512
        record["op"] = Op.READ if is_read else Op.WRITE
    return result


def refusal(data: bytes, trace_format: str = "", volume: str = "") -> str:
    with pytest.raises(InvalidArgument) as caught:
        parse(data, trace_format, volume)
    return caught.value.message


def test_every_format_has_a_writer_here() -> None:
    assert {name for name, _, _ in WRITERS.values()} == set(FORMATS)


@pytest.mark.parametrize("writer", WRITERS)
@given(commands=commands_in_order, is_packed=st.booleans())
def test_round_trip(writer: str, commands: Commands, is_packed: bool) -> None:
    name, write, tick_ns = WRITERS[writer]
    commands = [c for c in commands if c[2] < 1 << 22] or [(0, 0, 1, True)]
    data = write(commands)
    records = parse(gzip.compress(data, 1, mtime=0) if is_packed else data)
    assert np.array_equal(records, records_of(commands, tick_ns))
    assert np.array_equal(records, parse(data, name))
    assert not records.flags.writeable


@pytest.mark.parametrize("writer", WRITERS)
@given(data=st.data())
def test_damage_is_refused_or_harmless_but_never_crashes(writer: str, data: st.DataObject) -> None:
    name, write, _ = WRITERS[writer]
    whole = bytearray(write([(i, 100 * i, 8, i % 3 > 0) for i in range(6)]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    try:
        records = parse(damaged, name)
    except InvalidArgument as refused:
        assert refused.message.startswith("trace")
    else:
        assert np.all(np.diff(records["time_ns"]) >= 0)
        assert np.all(records["length"] % 512 == 0)
        assert np.all(records["length"] > 0)
        assert set(records["op"].tolist()) <= {Op.READ, Op.WRITE}


SOME: Commands = [(i * 10, 64 * i, 8, i % 2 == 0) for i in range(5)]


def patched(data: bytes, offset: int, value: int, size: int) -> bytes:
    return data[:offset] + value.to_bytes(size, "little") + data[offset + size :]


V1, V2 = vscsi(VSCSI1, 0x0100)(SOME), vscsi(VSCSI2, 0x0200)(SOME)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (V1[:-1], "offset 128: the last record is cut short: 31 of 32 bytes"),
        (V1 + b"\0", "offset 160: the last record is cut short: 1 of 32 bytes"),
        (patched(V1, 64 + 14, 0x0300, 2), "offset 64: version 0x0300 is not 0x0100"),
        (patched(V1, 96 + 12, 0x42, 2), "offset 96: opcode 0x42 (UNMAP) is neither"),
        (patched(V1, 12, 0xEE, 2), "offset 0: opcode 0xee is neither a READ nor a WRITE"),
        (patched(V1, 32 + 4, 0, 4), "offset 32: the length is 0"),
        (patched(V1, 32 + 4, 513, 4), "offset 32: the length, 513, is not a multiple of 512"),
        (patched(V1, 128 + 24, 100, 8), "offset 128: time goes back by 0.000007 s"),
        (patched(V1, 64 + 16, (1 << 64) - 1, 8), "offset 64: block 18446744073709551615 ends"),
        (patched(V1, 128 + 24, (1 << 64) - 1, 8), "offset 128: time 18446744073709551615 is more"),
        (V2[:-3], "offset 160: the last record is cut short: 37 of 40 bytes"),
        (patched(V2, 80 + 2, 0x0100, 2), "offset 80: version 0x0100 is not 0x0200"),
        (patched(V2, 40, 0x35, 2), "offset 40: opcode 0x35 (SYNCHRONIZE CACHE(10)) is neither"),
        (patched(V2, 120 + 8, 0, 4), "offset 120: the length is 0"),
        (patched(V2, 160 + 24, 0, 8), "offset 160: time goes back"),
    ],
)
def test_damaged_binary_traces_are_refused_by_offset(data: bytes, says: str) -> None:
    assert refusal(data).startswith(f"trace: {says}")


def test_the_first_fault_of_a_file_is_told_whatever_its_kind() -> None:
    data = patched(patched(V1, 128 + 12, 0x42, 2), 32 + 4, 0, 4)[:-1]
    assert refusal(data) == "trace: offset 32: the length is 0"


def changed(data: bytes, line: int, old: str, new: str) -> bytes:
    lines = data.decode().split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    return "\n".join(lines).encode()


MSR, SYSTOR, TENCENT, FIO2, FIO3 = (
    msr(SOME),
    systor(SOME),
    tencent_csv(SOME),
    fio2(SOME),
    fio3(SOME),
)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (changed(MSR, 3, "Read", "Trim"), "line 3: the type, 'Trim', is neither Read nor Write"),
        (changed(MSR, 2, ",4096,99", ",4096"), "line 2: 7 fields are needed"),
        (changed(MSR, 2, ",4096,", ",0,"), "line 2: the length is 0"),
        (changed(MSR, 2, ",4096,", ",-512,"), "line 2: the size, '-512', is not a whole number"),
        (changed(MSR, 4, ",98304,", ",98305,"), "line 4: the offset, 98305, is not a multiple"),
        (changed(MSR, 5, "128", "127"), "line 5: time goes back by"),
        (changed(MSR, 1, "128", "0x8"), "line 1: the timestamp, '0x8000000000000000', is not"),
        (changed(MSR, 2, ",web,", ",usr,"), "line 2: volume 'usr_3' after 'web_3'"),
        (changed(MSR, 2, "32768", "9" * 19), f"line 2: the offset, '{'9' * 19}', is more than"),
        (changed(MSR, 5, ",99", ",9x"), "line 5: the response time, '9x'"),
        (MSR + b"\n", "line 6: 7 fields are needed"),
        (MSR + b"128,we", "line 6: 7 fields are needed"),
        (changed(SYSTOR, 3, ",R,", ",r,"), "line 3: the I/O type, 'r', is neither R nor W"),
        (changed(SYSTOR, 4, "15", "1x"), "line 4: the timestamp, '1x00000000.000000030', is not"),
        (changed(SYSTOR, 4, ".", ".0"), "line 4: the timestamp"),
        (changed(SYSTOR, 4, "0.000500000", ""), "line 4: the response time, '', is not"),
        (changed(SYSTOR, 2, ",2,", ",5,"), "line 2: volume '5' after '2'"),
        (changed(TENCENT, 3, ",0,", ",2,"), "line 3: the I/O type, '2', is neither 0 (read)"),
        (changed(TENCENT, 5, ",8,", ",8388608,"), "line 5: the size, '8388608', is more than"),
        (changed(TENCENT, 4, "1283", "77"), "line 4: volume '77' after '1283'"),
        (changed(TENCENT, 5, "1538", "1537"), "line 5: time goes back by 999,990.000000 s"),
        (changed(FIO2, 1, "2", "1"), "line 1: 'fio version 1 iolog' is not"),
        (changed(FIO2, 5, "read", "trim"), "line 5: the action 'trim' is neither read nor write"),
        (changed(FIO2, 3, "open", "shut"), "line 3: the file action 'shut' is none of add"),
        (changed(FIO3, 4, "read 0 4096", "sync 0 0"), "line 4: the action 'sync' is neither"),
        (changed(FIO3, 5, "4096", "4k"), "line 5: the length, '4k', is not a whole number"),
        (changed(FIO3, 5, " 4096", ""), "line 5: "),
        (changed(FIO3, 5, "15 ", "1 "), "line 5: time goes back by 0.000004 s"),
        (changed(FIO3, 5, "/dev/sdx", "/dev/sdy"), "line 5: volume '/dev/sdy' after '/dev/sdx'"),
        (changed(FIO3, 5, "4096", "0"), "line 5: the length is 0"),
        (changed(FIO3, 5, "32768", "32769"), "line 5: the offset, 32769, is not a multiple"),
    ],
)
def test_damaged_text_traces_are_refused_by_line(data: bytes, says: str) -> None:
    assert refusal(data).startswith(f"trace: {says}")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "trace: offset 0: the file is empty"),
        (b"hello", "trace: offset 0: the file begins like none of the known formats"),
        (gzip.compress(V1, mtime=0)[:-9], "is cut short"),
        (gzip.compress(V1, mtime=0)[:10] + b"\xff" * 30, "damaged gzip"),
        (gzip.compress(V1, mtime=0) + b"tail", "damaged gzip"),
        (b"fio version 3 iolog\n1 a add\n", "the file holds no command"),
    ],
)
def test_files_that_are_no_trace_are_refused(data: bytes, says: str) -> None:
    assert says in refusal(data)


def test_unpacking_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smokestack.workload.traces.reader.UNPACKED_BYTES_MAX", 100)
    assert "unpacks to more than 100 bytes" in refusal(gzip.compress(V1, mtime=0))


def test_unknown_format_names_the_known() -> None:
    assert refusal(V1, "spc").endswith(f"'spc' is none of {', '.join(FORMATS)}")


def test_small_disorder_of_response_ordered_formats_is_sorted_stably() -> None:
    lines = msr([(500, 1, 1, True), (0, 2, 1, True), (500, 3, 1, False), (0, 4, 1, True)])
    records = parse(lines)
    assert records["time_ns"].tolist() == [0, 0, 50_000, 50_000]
    assert records["lba"].tolist() == [2, 4, 1, 3]


def test_lines_without_a_response_are_left_out_as_the_format_asks() -> None:
    records = parse(changed(SYSTOR, 2, ",0.000500000,W,", ",,,"))
    assert records["lba"].tolist() == [0, 128, 192, 256]


@pytest.mark.parametrize(
    ("data", "volume", "lba"),
    [
        (changed(MSR, 2, ",web,3,", ",my_host,3,"), "my_host_3", [64]),
        (changed(SYSTOR, 2, ",2,", ",5,"), "2", [0, 128, 192, 256]),
        (changed(TENCENT, 4, "1283", "77"), "77", [192]),
        (changed(FIO3, 5, "/dev/sdx", "/dev/sdy"), "/dev/sdy", [64]),
    ],
)
def test_one_volume_of_several_is_read_by_name(data: bytes, volume: str, lba: list[int]) -> None:
    records = parse(data, volume=volume)
    assert records["lba"].tolist() == lba
    assert records["time_ns"][0] == 0
    assert "trace.volume" in refusal(data, volume="none")


def test_a_binary_trace_has_no_volumes() -> None:
    assert "holds one disk" in refusal(V1, volume="1")


COLUMNS = {module.NAME: module.COLUMNS for module in (msr_cambridge, systor17, tencent)}


@pytest.mark.parametrize("name", COLUMNS)
def test_header_and_dos_line_ends_are_allowed(name: str) -> None:
    _, write, tick_ns = WRITERS[name]
    columns = ",".join(COLUMNS[name])
    data = (columns.encode() + b"\n" + write(SOME)).replace(b"\n", b"\r\n")
    assert np.array_equal(parse(data), records_of(SOME, tick_ns))
    assert refusal(data + b"x").startswith("trace: line 7: ")


def test_every_read_and_write_opcode_is_replayed_as_the_ten_byte_one() -> None:
    codes = [0x08, 0x0A, 0x28, 0x2A, 0x88, 0x8A, 0xA8, 0xAA]
    rows = np.frombuffer(vscsi(VSCSI1, 0x0100)([(0, 0, 1, True)] * 8), VSCSI1).copy()
    rows["cmd"] = codes
    assert parse(rows.tobytes())["op"].tolist() == [0x28, 0x2A] * 4
