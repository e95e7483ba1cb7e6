"""What the handlers of all of an array's resources share: names, borders, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf import empty_pb2

from smokestack.engine.errors import InvalidArgument, NotFound
from smokestack.engine.names import NameForm
from smokestack.engine.paging import page
from smokestack.engine.requests import Mutation, Requests

from .model import ArrayModel
from .names import ARRAY

_K = TypeVar("_K")
_T = TypeVar("_T")


class Handlers:
    """The base of an array's handlers, of whichever kind."""

    _model: ArrayModel
    _requests: Requests

    def _check_array(self, form: NameForm, name: str, field: str = "name") -> str:
        """Returns the last identifier of a name; refuses one that lies in another array."""
        array_id, *rest = form.parse(name, field)
        if array_id != self._model.array_id:
            if field in ("name", "parent") or field.endswith(".name"):
                raise NotFound.of(ARRAY.format(array_id))
            raise InvalidArgument.at(
                field, f"{name!r} lies in another array than {self._model.name}"
            )
        return rest[-1] if rest else array_id

    def _check_parent(self, parent: str) -> None:
        """Refuses what is not this array as the parent of something."""
        if parent != self._model.name:
            self._check_array(ARRAY, parent, "parent")

    def _partner(self, form: NameForm, name: str, field: str) -> str:
        """Returns the identifier of a partner, if one is named."""
        return name and self._check_array(form, name, field)

    def _create(self, parent: str, request: Mutation, create: Callable[[], _T]) -> _T:
        self._check_parent(parent)
        return self._requests.change(request, create)

    def _get(self, form: NameForm, name: str, one: Callable[[str], _T]) -> _T:
        resource_id = self._check_array(form, name)
        with self._requests.read():
            return one(resource_id)

    def _page(self, request: Any, keys: Iterable[str], listing: str) -> tuple[list[str], str]:
        self._check_parent(request.parent)
        return page(keys, request.page_size, request.page_token, listing)

    def _delete(
        self, form: NameForm, request: Any, delete: Callable[[str], None]
    ) -> empty_pb2.Empty:
        resource_id = self._check_array(form, request.name)

        def change() -> empty_pb2.Empty:
            delete(resource_id)
            return empty_pb2.Empty()

        return self._requests.change(request, change)

    def _found(
        self, form: NameForm, resource_id: str, have: Mapping[_K, _T], key: _K
    ) -> tuple[str, _T]:
        """Returns a resource with its full name, or refuses one that does not exist."""
        name = form.format(self._model.array_id, resource_id)
        if key not in have:
            raise NotFound.of(name)
        return name, have[key]
