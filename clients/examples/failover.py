"""Pulls every path of a stack in turn while I/O runs, and counts what is lost: nothing may be.

    smokestack up --clock manual &
    python clients/examples/failover.py               # or: … failover.py 127.0.0.1:50051

A port goes down and its paths die, with all that is on its way there; then each path is taken out
of use by hand.  As long as a device has one path left, its commands must arrive by that one.  At
the end all ports go down: commands that have no path left fail, which shows that losses would be
seen.  Exit code 1: an I/O was lost that had a live path, or the last check saw no loss.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import smokestack.client
from smokestack.client import Stack

_STEP_SECONDS = 0.02
_DEPTH = 16


def main(address: str = "") -> int:
    """Works the stack at an address and prints what came of each pull."""
    with smokestack.client.connect(*filter(None, [address])) as stack, _load(stack):
        lost = sum(_pull(stack, what, out, back) for what, out, back in _pulls(stack))
        ports = [port for array in stack.arrays.values() for port in array.ports]
        before = _failed(stack)
        for port in ports:
            port.disable()
        stack.advance(seconds=_STEP_SECONDS)
        seen = _failed(stack) - before
        for port in ports:
            port.enable()
        stack.advance(seconds=_STEP_SECONDS)
    print(f"{lost} I/Os lost that had a live path; {seen} failed without any path")
    return 0 if lost == 0 and seen > 0 else 1


@contextmanager
def _load(stack: Stack) -> Iterator[None]:
    """Keeps commands outstanding on every disk of every VM."""
    jobs = []
    for host in stack.hypervisor.hosts:
        for vm in host.vms:
            for disk in vm.disks:
                name = f"failover-{disk.id}"
                jobs.append(vm.jobs.create(name, disk=disk.id, iodepth=_DEPTH, read_ratio=0.5))
    stack.advance(seconds=_STEP_SECONDS)
    try:
        yield
    finally:
        for job in jobs:
            job.stop()


Pull = tuple[str, Callable[[], object], Callable[[], object]]  # what, out, back


def _pulls(stack: Stack) -> Iterator[Pull]:
    """Every port, then every path of every device that has more than one."""
    for array in stack.arrays.values():
        for port in array.ports:
            yield port.name, port.disable, port.enable
    for host in stack.multipath.hosts:
        for device in host.devices:
            paths = list(device.paths)
            for path in paths if len(paths) > 1 else []:
                yield path.name, path.disable, path.enable


def _pull(stack: Stack, what: str, out: Callable[[], object], back: Callable[[], object]) -> int:
    """Pulls one thing under load and puts it back; returns how many I/Os were lost meanwhile."""
    before, done = _failed(stack), stack.statistics().io_count
    out()
    stack.advance(seconds=_STEP_SECONDS)
    left = min(_live(stack).values())
    back()
    stack.advance(seconds=_STEP_SECONDS)
    lost = _failed(stack) - before
    done = stack.statistics().io_count - done
    print(f"{what:<60} {left} live at least, {done:>7} I/Os done, {lost} lost")
    return lost if left else 0


def _live(stack: Stack) -> dict[str, int]:
    """How many usable paths each device has."""
    return {
        device.name: sum(path.state == "ACTIVE" for path in device.paths)
        for host in stack.multipath.hosts
        for device in host.devices
    }


def _failed(stack: Stack) -> int:
    """How many I/Os guests have seen fail."""
    return stack.statistics().error_count


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
