"""Loads YAML safely: plain data only, and no key twice, which YAML itself would let pass."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class YamlError(Exception):
    """A text that is no YAML, or not ours; the message gives the line."""


class _Loader(yaml.SafeLoader):
    """The safe loader, which by itself keeps the last of two equal keys and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Builds a mapping, or refuses one that names a key twice."""
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _at(key_node.start_mark, "a mapping's key must be a plain word")
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise _at(key_node.start_mark, f"{key!r} stands here a second time")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> object:
    """Returns the one document of a text as dicts, lists and scalars."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise _at(error.problem_mark or error.context_mark, error.problem or "is no YAML") from None
    except yaml.YAMLError as error:
        raise YamlError(f"is no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise YamlError("is nested too deeply") from None
    except ValueError as error:  # a date or a number that looks right and is not
        raise YamlError(f"is no YAML: {error}") from None


def _at(mark: yaml.Mark | None, problem: str) -> YamlError:
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return YamlError(f"{where}{problem}")
