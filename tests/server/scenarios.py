"""Small scenarios for tests of the composed stack: every room at work for milliseconds."""

from __future__ import annotations

from smokestack.server.scenario import parse_scenario
from smokestack.v1 import scenario_pb2

_ARRAY = """
  - name: {name}
    controllers: [{{name: c0, read_hit_ratio: 0.4}}]
    ports:
      - {{name: p0, controller: c0, fabric: a, queue_limit: 6}}
      - {{name: p1, controller: c0, fabric: b, queue_limit: 6}}
    pools: [{{name: p1, capacity_bytes: 8 MiB, disk_count: 8}}]
    volumes:
      - {{name: v1, pool: p1, capacity_bytes: 1 GiB}}
      - {{name: v2, pool: p1, capacity_bytes: 1 GiB}}
    exports: [{{volume: v1, host: h1}}, {{volume: v2, host: h2}}]
"""

_HOST = """
  - name: h{number}
    initiators: [{{name: h{number}-a, fabric: a}}, {{name: h{number}-b, fabric: b}}]
    selector: {selector}
    lun_queue_depth: 8
    ios_per_path: 3
    vms:
"""

_VM = """
      - name: {vm}
        disks: [{{name: d0, device: {array}.v{number}}}]
        jobs:
          - {{name: j0, disk: d0, iodepth: 12, read_ratio: 0.6, error_backoff_ns: 1 ms{limit}}}
          - {{name: j1, disk: d0, rate_iops: 9000, arrival: POISSON, pattern: ZIPF,
             block_sizes: [{{length_bytes: 4 KiB, weight: 3}}, {{length_bytes: 64 KiB}}]{limit}}}
"""


def small_scenario(arrays: int = 1, *, io_limit: int = 750, seed: int = 1) -> scenario_pb2.Scenario:
    """Two hosts, each with a VM on each array; ports refuse, pools run dry.  0: jobs never end."""
    names = [f"a{index + 1}" for index in range(arrays)]
    limit = f", io_limit: {io_limit}" if io_limit else ""
    text = f"seed: {seed}\nfabrics: [a, b]\narrays:"
    text += "".join(_ARRAY.format(name=name) for name in names)
    text += "hosts:"
    for number, selector in ((1, "ROUND_ROBIN"), (2, "QUEUE_LENGTH")):
        text += _HOST.format(number=number, selector=selector)
        for name in names:
            text += _VM.format(vm=f"on-{name}", array=name, number=number, limit=limit)
    return parse_scenario(text)
