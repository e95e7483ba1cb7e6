"""Claim rules: whose software handles a device, by the vendor, model and array that it reports.

The first rule that matches and whose plug-in takes the device decides.  A vendor's plug-in takes
only devices that its own vendor's arrays report; others it leaves to the rules that follow, and in
the end to the host's default policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from smokestack.engine.checks import in_length
from smokestack.engine.errors import InvalidArgument

from .specs import NATIVE, ClaimRule, MultipathHostSpec, Plugin, Selector

RULES_MAX = 64


def claimed(spec: MultipathHostSpec, vendor: str, model: str, array_id: str) -> Selector:
    """Returns the policy that a device of a host gets."""
    for rule in spec.claim_rules:
        if not all(map(_matches, (rule.vendor, rule.model, rule.array), (vendor, model, array_id))):
            continue
        if rule.plugin is Plugin.VENDOR and rule.plugin_vendor == vendor:
            return Selector.VENDOR
        if rule.plugin is Plugin.NATIVE:
            return rule.selector or spec.selector
    return spec.selector


def check_rules(field: str, rules: Iterable[ClaimRule]) -> None:
    """Refuses rules that could not be followed."""
    for index, rule in enumerate(rules):
        at = f"{field}[{index}]"
        if index == RULES_MAX:
            raise InvalidArgument.at(at, f"is one too many: give {RULES_MAX} at most")
        for name in ("vendor", "model", "array"):
            in_length(f"{at}.{name}", getattr(rule, name), 1, 64)
        if rule.plugin not in tuple(Plugin):
            raise InvalidArgument.at(f"{at}.plugin", "is neither NATIVE nor VENDOR")
        if rule.plugin is Plugin.VENDOR:
            if not rule.plugin_vendor:
                raise InvalidArgument.at(
                    f"{at}.plugin_vendor", "is empty: say whose plug-in, as its arrays report it"
                )
            if rule.selector is not None:
                raise InvalidArgument.at(
                    f"{at}.selector", "is set, but a vendor's plug-in brings its own: leave it out"
                )
            continue
        if rule.plugin_vendor:
            raise InvalidArgument.at(
                f"{at}.plugin_vendor", "is set, but the plug-in is NATIVE: leave it out"
            )
        if rule.selector is not None:
            check_native(f"{at}.selector", rule.selector)


def check_native(field: str, selector: Selector) -> None:
    """Refuses what is no policy that can be asked for."""
    native = ", ".join(policy.name for policy in NATIVE)
    if selector is Selector.VENDOR:
        raise InvalidArgument.at(field, f"VENDOR comes by a claim rule alone: use one of {native}")
    if selector not in NATIVE:
        raise InvalidArgument.at(field, f"is none of {native}")


def _matches(pattern: str, text: str) -> bool:
    ways = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(ways, text) is not None
