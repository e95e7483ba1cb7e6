"""Whose policy a device gets, by its host's claim rules."""

from __future__ import annotations

from fnmatch import fnmatchcase

from smokestack.array.specs import ProductSpec
from smokestack.multipath.specs import MultipathHostSpec, Plugin, Selector
from tests.reference.array import Array


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
