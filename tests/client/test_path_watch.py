"""What happens to paths, watched in the SDK: each change with its cause, resumed without gap."""

from __future__ import annotations

import pytest

from smokestack.client import Stack, errors
from tests.client.test_events import flap


def test_changes_of_paths_are_watched_with_their_causes(stack: Stack) -> None:
    flap(stack)
    multipath = stack.multipath
    changes = list(multipath.watch_paths(follow=False))
    kinds = ("PATH_DOWN", "PATH_UP", "PATH_DISABLED", "PATH_ENABLED", "DEVICE_ACCESS_CHANGED")
    told = multipath.events.find(kinds=kinds)
    assert [c.event for c in changes] == [event.name for event in told] != []
    assert [(c.path, c.time_ns, c.kind, c.cause) for c in changes] == [
        (e.subject, e.time_ns, e.kind, e.cause) for e in told
    ]
    assert {"PATH_DOWN", "PATH_UP"} <= {c.kind for c in changes}
    assert all(change.cause for change in changes)
    for taken in range(len(changes)):
        watch = multipath.watch_paths(follow=False)
        first = [change for change, _ in zip(watch, range(taken), strict=False)]
        rest = list(multipath.watch_paths(follow=False, resume_token=watch.resume_token))
        assert first == changes[:taken]
        assert rest == changes[min(taken + 1, len(changes)) :]


def test_the_paths_of_one_resource_alone_are_watched(stack: Stack) -> None:
    flap(stack)
    multipath = stack.multipath
    changes = list(multipath.watch_paths(follow=False))
    path = changes[0].path
    device = path.rpartition("/paths/")[0]
    for of in (device.rpartition("/devices/")[0], device, path):
        below = [c for c in changes if c.path == of or c.path.startswith(f"{of}/")]
        assert list(multipath.watch_paths(of, follow=False)) == below
    with pytest.raises(errors.NotFound):
        list(multipath.watch_paths(f"{device}9", follow=False))
    with pytest.raises(errors.InvalidArgument):
        list(multipath.watch_paths("arrays/a1", follow=False))
