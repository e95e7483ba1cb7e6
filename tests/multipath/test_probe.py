"""The probe sees what a tap on the wire would, adds up with the host's counts, changes nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestack.engine.histogram import HISTOGRAM
from smokestack.engine.sparse_histogram import CHUNK, SPARSE_HISTOGRAM, dense
from smokestack.multipath.model import MultipathModel
from smokestack.multipath.probe import Seen, histograms, peaks
from smokestack.multipath.specs import MultipathSpec
from smokestack.multipath.updates import update_layer
from tests.reference.build import Models, build_models
from tests.reference.config import StackConfig
from tests.reference.generate import Scenario, scenarios
from tests.reference.samples import KIB, job, stack

LIMIT_NS = 50_000_000


def mixed(probing: int) -> StackConfig:
    plan = job(io_limit=40, slots=4, read_threshold=1 << 63, block_sizes=((4 * KIB, 1 << 32),))
    return stack(plan, depth=2, multipath=MultipathSpec(probing=probing))


def ran(config: StackConfig) -> Models:
    models = build_models(config)
    models.run_until_idle(LIMIT_NS)
    return models


def seen(model: MultipathModel, which: Seen) -> np.void:
    [device] = model.all_devices()
    [path] = device.paths.values()
    found: np.void = histograms(model.state, path.row)[which]
    return found


def test_a_probe_changes_nothing() -> None:
    assert ran(mixed(0)).digest() == ran(mixed(1)).digest()


def test_what_it_saw_adds_up_with_the_hosts_counts() -> None:
    model = ran(mixed(1)).multipath
    row = model.state["path"][0]
    exchanges = [seen(model, which) for which in (Seen.READ, Seen.WRITE)]
    assert sum(int(h["count"]) for h in exchanges) == int(row["ios"]) == 40
    assert sum(int(h["sum"]) for h in exchanges) == int(row["device_ns"])
    array, wire = seen(model, Seen.ARRAY), seen(model, Seen.WIRE)
    assert int(array["sum"]) + int(wire["sum"]) == int(row["device_ns"])
    assert int(wire["min"]) == int(wire["max"]) == 30_000, "there and back, and nothing on the way"
    assert int(seen(model, Seen.WRITE_ACK)["max"]) < int(seen(model, Seen.WRITE)["max"])
    assert int(seen(model, Seen.GAP)["count"]) == 39
    sizes = [seen(model, which) for which in (Seen.READ_BYTES, Seen.WRITE_BYTES)]
    assert sum(int(h["sum"]) for h in sizes) == int(row["bytes"])


def test_peaks_are_of_this_second_and_the_one_before() -> None:
    models = ran(mixed(1))
    now = peaks(models.multipath.state, 0)
    assert now.pending_count == 2, "the device's depth"
    assert now.longest_ns == max(
        int(seen(models.multipath, which)["max"]) for which in (Seen.READ, Seen.WRITE)
    )
    assert now.sent_count == 40
    assert now.sequential_count == 39, "one job writes and reads on and on"
    models.hypervisor.advance(3_000_000_000)
    later = peaks(models.multipath.state, 0)
    assert (later.longest_ns, later.pending_count, later.sent_count) == (0, 0, 40)


@settings(max_examples=15)
@given(scenarios())
def test_any_stack_is_the_same_when_it_is_probed(scenario: Scenario) -> None:
    plain, probed = (build_models(scenario.stack) for _ in range(2))
    update_layer(probed.multipath, {"probing": 1})
    for models in (plain, probed):
        models.run(scenario.until_ns)
    assert plain.completions == probed.completions
    rows = probed.multipath.state.used("path")
    taps = probed.multipath.state["tap"][: len(rows)]
    assert all(taps["sent"] <= rows["dispatched"])


@given(st.lists(st.integers(0, 1 << 50), max_size=50))
def test_a_sparse_row_reads_as_a_dense_one(values: list[int]) -> None:
    rows, chunks = np.zeros(1, SPARSE_HISTOGRAM), np.zeros(60, CHUNK)
    assert dense(rows, chunks)[0] == np.zeros(1, HISTOGRAM)[0]
    rows["count"], rows["sum"] = len(values), sum(values)
    rows["chunk"][0, 3], chunks.view("<u4").reshape(-1, 32)[1, 7] = 1, 5
    assert dense(rows, chunks)["bucket"][0, 3 * 32 + 7] == 5
