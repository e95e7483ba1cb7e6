"""Snapshots and recordings through the SDK, with calls that block and calls that are awaited."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import smokestack.client
from smokestack.client import aio
from smokestack.client.errors import InvalidArgument, NotFound
from smokestack.server.replay import replay
from smokestack.server.stack import Stack as Served


def test_a_stack_goes_back_to_its_snapshot(stack: smokestack.client.Stack, tmp_path: Path) -> None:
    stack.advance(0.001)
    snapshot = stack.snapshots.create("before")
    assert snapshot.now_ns == 1_000_000
    assert snapshot.services[0] == stack.hypervisor.name
    stack.advance(0.002)
    assert snapshot.restore().digest == snapshot.digest == stack.statistics().digest
    assert stack.simulation().now_ns == 1_000_000
    file = tmp_path / "before.smoke"
    file.write_bytes(snapshot.export())
    copy = stack.snapshots.import_("copy", file)
    assert (copy.uid, copy.digest) == (snapshot.uid, snapshot.digest)
    assert [one.id for one in stack.snapshots] == ["before", "copy"]
    snapshot.delete()
    assert "before" not in stack.snapshots
    with pytest.raises(NotFound, match="snapshots/before does not exist"):
        stack.snapshots["before"].restore()
    with pytest.raises(InvalidArgument, match="damaged or cut short"):
        stack.snapshots.import_("damaged", file.read_bytes()[:-1])


def test_a_recording_is_replayed(stack: smokestack.client.Stack) -> None:
    stack.array("a1").volumes.create("v9", pool="p1", capacity_bytes=1 << 30)
    stack.advance(0.002)
    replayed = replay(stack.recording())
    assert replayed.same
    assert replayed.digest == stack.statistics().digest


def test_the_same_is_awaited(address: str, server: Served) -> None:
    async def main() -> tuple[bytes, str]:
        async with aio.connect(address) as stack:
            await stack.advance(0.001)
            snapshot = await stack.snapshots.create("before")
            file = await snapshot.export()
            copy = await stack.snapshots.import_("copy", file)
            await stack.advance(0.001)
            await copy.restore()
            assert [one.id async for one in stack.snapshots] == ["before", "copy"]
            return await stack.recording(), copy.digest

    recording, digest = asyncio.run(main())
    assert replay(recording).digest == digest == server.hypervisor.model.digest()
