"""`smokestack csi serve` and `up --csi-endpoint`: a socket for tools that speak CSI."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import grpc

from smokestack.csi.v1 import node_pb2, node_pb2_grpc
from tests.cli.command import interrupt, refusal, started


def said(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def node_id(address: str) -> str:
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = node_pb2_grpc.NodeStub(channel)
        answer: node_pb2.NodeGetInfoResponse = stub.NodeGetInfo(node_pb2.NodeGetInfoRequest())
    return answer.node_id


def test_a_socket_for_the_first_node_and_another_for_the_second(tmp_path: Path) -> None:
    first, second = (f"unix://{tmp_path}/h{number}.sock" for number in (1, 2))
    stack = ("--port-base", "0", "--json", "--clock", "manual", "--csi-endpoint", first)
    with started("up", *stack) as up:
        shown = said(up)
        assert shown["csi_endpoint"] == first
        assert node_id(first) == "h1"
        _, multipath, array = (service["address"] for service in shown["services"])
        below = ("--array", f"a1={array}", "--multipath", multipath)
        with started("csi", "serve", *below, "--node", "h2", "--endpoint", second, "--json") as csi:
            assert said(csi) == {"name": "csi", "address": second, "metrics_url": ""}
            assert node_id(second) == "h2"
            assert interrupt(csi) == (0, "", "")
        assert interrupt(up) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_that_cannot_be_is_refused() -> None:
    assert "unix:// with an absolute path" in refusal("csi", "serve", "--endpoint", "unix:x")
    assert "open to other machines" in refusal("csi", "serve", "--endpoint", "0.0.0.0:0")
