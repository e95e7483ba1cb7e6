"""What the handlers of an array's resources share, as those see it that have their own file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf import empty_pb2

from smokestack.engine.names import NameForm
from smokestack.engine.requests import Mutation, Requests

from .model import ArrayModel

_K = TypeVar("_K")
_T = TypeVar("_T")


class Handlers:
    """What the service has for handlers of any kind that stand in a file of their own."""

    _model: ArrayModel
    _requests: Requests

    def _check_array(self, form: NameForm, name: str, field: str = "name") -> str:
        raise NotImplementedError

    def _create(self, parent: str, request: Mutation, create: Callable[[], _T]) -> _T:
        raise NotImplementedError

    def _get(self, form: NameForm, name: str, one: Callable[[str], _T]) -> _T:
        raise NotImplementedError

    def _page(self, request: Any, keys: Iterable[str], listing: str) -> tuple[list[str], str]:
        raise NotImplementedError

    def _delete(
        self, form: NameForm, request: Any, delete: Callable[[str], None]
    ) -> empty_pb2.Empty:
        raise NotImplementedError

    def _found(
        self, form: NameForm, resource_id: str, have: Mapping[_K, _T], key: _K
    ) -> tuple[str, _T]:
        raise NotImplementedError

    def _partner(self, form: NameForm, name: str, field: str) -> str:
        raise NotImplementedError
