from typing import Any

from numpy.typing import NDArray

# Integers are taken modulo 2**64 where they stand for 64-bit words.
def layout() -> list[tuple[str, str, str, int, int]]: ...
def philox(
    k0: int, k1: int, c0: int, c1: int, c2: int, c3: int, /
) -> tuple[int, int, int, int]: ...
def philox_fill(k0: int, k1: int, c0: int, c1: int, c2: int, out: NDArray[Any], /) -> None: ...
def mulhi(w: int, n: int, /) -> int: ...
def exponential(w: int, /) -> int: ...
def exponential_ns(mean_ns: int, w: int, /) -> int: ...
def hist_index(value: int, /) -> int: ...
def hist_add(histogram: NDArray[Any], values: NDArray[Any], /) -> None: ...
def sha256(data: bytes, step: int, /) -> bytes: ...
def sha256_plain(blocks: bytes, /) -> bytes: ...

# For rows from `first` on a line of each (prefix, suffix); `ends` has one more row than there are
# labels, `kinds` a letter for each line (render.h), `values` a word for each line of each row.
def render(
    lines: tuple[tuple[bytes, bytes], ...],
    kinds: bytes,
    labels: bytes,
    ends: NDArray[Any],
    values: NDArray[Any],
    texts: bytes,
    first: int,
    count: int,
    /,
) -> bytes: ...

# (0, ...) or what is wrong (submissions.h) and the index of the record.
def check_submissions(
    records: NDArray[Any], from_ns: int, until_ns: int, nexus_count: int, takes_tasks: bool, /
) -> tuple[int, int]: ...

# Rows of (op, node, value), int64; answers replace the rows' node and value.
def calendar_script(script: NDArray[Any], nodes: int, buckets: NDArray[Any], /) -> None: ...
def closed_network_start(
    state: NDArray[Any],
    customers: NDArray[Any],
    servers: NDArray[Any],
    calendar: NDArray[Any],
    buckets: NDArray[Any],
    /,
) -> None: ...
def closed_network_run(
    state: NDArray[Any],
    customers: NDArray[Any],
    servers: NDArray[Any],
    calendar: NDArray[Any],
    buckets: NDArray[Any],
    events: int,
    /,
) -> None: ...
