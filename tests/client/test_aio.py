"""The same client, awaited."""

from __future__ import annotations

import asyncio

import pytest

from smokestack.client import GiB, aio
from smokestack.client.errors import AlreadyExists, Unavailable
from smokestack.server.stack import Stack as Served


def test_everything_is_awaited(address: str) -> None:
    async def work() -> None:
        async with aio.connect(address) as stack:
            array = stack.array("a1")
            volume = await array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
            assert (volume.pool, volume.capacity_bytes) == ("p1", GiB)
            assert [v.id async for v in array.volumes] == ["v1", "v2", "v3", "v4", "v9"]
            assert [len(page) async for page in array.volumes.pages(2)] == [2, 2, 1]
            await volume.update(capacity_bytes=2 * GiB)
            assert (await array.volumes.get("v9")).capacity_bytes == 2 * GiB
            with pytest.raises(AlreadyExists):
                await array.volumes.create("v9", pool="p1", capacity_bytes=GiB)
            await volume.delete()
            job = (
                await stack.hypervisor.hosts["h1"]
                .vms["v1"]
                .jobs.create("j0", disk="d0", io_limit=10)
            )
            assert (await stack.advance_until_idle()).io_count == 10
            assert (await job.reload()).state == "FINISHED"
            vms = stack.hypervisor.hosts["h2"].vms
            await asyncio.gather(*(vms.create(f"n{index}") for index in range(20)))
            assert len([vm async for vm in vms]) == 22

    asyncio.run(work())


def test_what_is_not_loaded_says_what_to_await(address: str) -> None:
    async def work() -> None:
        stack = await aio.connect(address)
        volume = stack.array("a1").volumes["v1"]
        with pytest.raises(AttributeError, match=r"await v1\.reload\(\)"):
            print(volume.capacity_bytes)
        assert (await volume.reload()).capacity_bytes == 64 * GiB
        await stack.close()

    asyncio.run(work())


def test_mixing_up_the_two_ways_is_told(address: str) -> None:
    async def work() -> None:
        async with aio.connect(address) as stack:
            with pytest.raises(TypeError, match="use async for"):
                list(stack.array("a1").volumes)  # type: ignore[call-overload]
            with pytest.raises(TypeError, match="await get"):
                print("v1" in stack.array("a1").volumes)  # type: ignore[operator]

    asyncio.run(work())


def test_one_service_alone(server: Served) -> None:
    hypervisor, multipath, array = (endpoint.address for endpoint in server.endpoints)

    async def work() -> None:
        async with aio.connect_array(array) as a1:
            assert (await a1.reload()).capacity_bytes == 160 * GiB
        async with aio.connect_multipath(multipath) as m1:
            assert [host.id async for host in m1.hosts] == ["h1", "h2"]
        async with aio.connect_hypervisor(hypervisor) as hv1:
            assert (await hv1.statistics()).io_count == 0

    asyncio.run(work())


def test_nobody_there_is_told_after_a_few_attempts() -> None:
    from smokestack.client import Patience

    async def work() -> None:
        patience = Patience(attempts=2, wait_seconds=0.01)
        with pytest.raises(Unavailable, match=r"nothing answers at 127\.0\.0\.1:1"):
            await aio.connect("127.0.0.1:1", patience)

    asyncio.run(work())
