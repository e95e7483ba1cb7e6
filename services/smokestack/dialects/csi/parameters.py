"""Settings of storage classes: which there are, and what each becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from smokestack.engine.errors import InvalidArgument
from smokestack.v1 import array_pb2, multipath_pb2

from .names import PLUGIN_NAME

POOL: Final = "pool"
PROVISIONING: Final = "provisioning"
KNOWN: Final = (POOL, PROVISIONING)
_PROVISIONING: Final = {
    "thin": array_pb2.PROVISIONING_THIN,
    "thick": array_pb2.PROVISIONING_THICK,
    "full": array_pb2.PROVISIONING_FULL,
}
# What the orchestrator tells about who asks, e.g. the claim's name.
TOLD: Final = "csi.storage.k8s.io/"
_INTEGERS: Final = {"lun_queue_depth": 4_096, "ios_per_path": 1 << 30}  # to their largest values
MUTABLE: Final = ("selector", *_INTEGERS)


def check_parameters(parameters: Mapping[str, str], known: tuple[str, ...] = ()) -> None:
    """Refuses settings that nothing here looks at: they are misspelt, or another plugin's."""
    for key in sorted(parameters):
        if key not in known and not key.startswith(TOLD):
            choice = ", ".join((*known, f"{TOLD}…"))
            raise InvalidArgument.at(f"parameters[{key!r}]", f"is no setting: use {choice}")


def told_labels(parameters: Mapping[str, str]) -> dict[str, str]:
    """Returns what is kept of the settings that tell who asks."""
    return {key: value for key, value in parameters.items() if key.startswith(TOLD)}


def provisioning(parameters: Mapping[str, str]) -> array_pb2.Provisioning:
    """Returns when a volume takes its pages, by its setting: thin, thick or full."""
    asked = parameters.get(PROVISIONING, "thin")
    if asked.lower() not in _PROVISIONING:
        choice = ", ".join(_PROVISIONING)
        raise InvalidArgument.at("parameters['provisioning']", f"{asked!r} is none of {choice}")
    return _PROVISIONING[asked.lower()]


def mutable_labels(parameters: Mapping[str, str]) -> dict[str, str]:
    """Returns what is kept of mutable settings; refuses those that are wrong."""
    for key, value in sorted(parameters.items()):
        field = f"mutable_parameters[{key!r}]"
        if key not in MUTABLE:
            raise InvalidArgument.at(field, f"is no setting: use {', '.join(MUTABLE)}")
        if key == "selector":
            if value not in _selectors():
                raise InvalidArgument.at(field, f"{value!r} is none of {', '.join(_selectors())}")
        elif not (value.isascii() and value.isdigit() and 1 <= int(value) <= _INTEGERS[key]):
            raise InvalidArgument.at(field, f"{value!r} is not within 1 to {_INTEGERS[key]}")
    return {f"{PLUGIN_NAME}/{key}": value for key, value in parameters.items()}


def device_settings(labels: Mapping[str, str]) -> dict[str, Any]:
    """Returns the fields of a device that a volume's mutable settings ask for."""
    kept = {key: labels.get(f"{PLUGIN_NAME}/{key}", "") for key in MUTABLE}
    found: dict[str, Any] = {key: int(kept[key]) for key in _INTEGERS if kept[key]}
    if kept["selector"]:
        found["selector"] = f"SELECTOR_{kept['selector']}"
    return found


def _selectors() -> list[str]:
    names = multipath_pb2.Selector.keys()
    return [name.removeprefix("SELECTOR_") for name in names if not name.endswith("UNSPECIFIED")]
