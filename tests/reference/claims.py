"""Whose policy a device gets, by its host's claim rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from smokestack.array.specs import ProductSpec
from smokestack.engine.records import AccessState
from smokestack.multipath.specs import MultipathHostSpec, Plugin, Selector
from tests.reference.array import Array
from tests.reference.devices import Path


def forbids_fixed(spec: MultipathHostSpec, paths: Iterable[Path]) -> bool:
    """Whether a command by one of the paths would pull the volume over, and the host minds."""
    passive = any(path.access == AccessState.PASSIVE for path in paths)
    return passive and not spec.allow_thrashing


def policy_of(spec: MultipathHostSpec, paths: Sequence[Path]) -> Selector:
    """Whose policy a device gets, or another where that one would pull its volume to and fro."""
    policy = claimed(spec, paths[0].array)
    if policy is Selector.FIXED and forbids_fixed(spec, paths):
        return Selector.MOST_RECENTLY_USED
    return policy


def claimed(spec: MultipathHostSpec, array: Array) -> Selector:
    """Whose policy a device gets: the first rule's that matches and whose plug-in takes it."""
    for rule in spec.claim_rules:
        model = ProductSpec().model
        asked = ((rule.vendor, array.vendor), (rule.model, model), (rule.array, array.array_id))
        if all(fnmatchcase(text, pattern) for pattern, text in asked):
            if rule.plugin is Plugin.NATIVE:
                return rule.selector or spec.selector
            if rule.plugin_vendor == array.vendor:
                return Selector.VENDOR
    return spec.selector
