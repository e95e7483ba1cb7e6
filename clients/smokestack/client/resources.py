"""Resources and collections of them: what every volume, host or path has in common.

A collection is indexed by identifier.  That alone asks nobody: ``array.volumes["v1"]`` stands for
the volume until its fields are needed.  What was loaded is how things stood then; ``reload`` looks
again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from .errors import InvalidArgument, NotFound
from .kinds import Fields, Kind, fresh_request_id, full, mask
from .operations import Async, Bound, Call, Session, Sync, Way, operation
from .sessions import AsyncSession

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    R = TypeVarWithDefault("R", default=Any)
else:
    R = TypeVar("R")


class Resource(Bound[Way]):
    """Something with a full name; its fields are attributes, as they were when it was loaded."""

    of_kind: ClassVar[Kind]
    name: str

    def __init__(self, session: Session, name: str, message: Any = None) -> None:
        """Stands for the resource of a full name; ``message`` is what is known of it."""
        self.__dict__["_session"] = session
        self.__dict__["name"] = name
        if message is not None:
            self._load(message)

    @property
    def id(self) -> str:
        """The last part of the name, e.g. "v1"."""
        return self.name.rpartition("/")[2]

    @operation
    def reload(self) -> Call[Self]:
        """Looks at the resource again, and returns it."""
        return self._act("Get")

    def _act(self, verb: str, **fields: Any) -> Call[Self]:
        """Plans a method on this resource whose answer is the resource as it is then."""
        request = self.of_kind.request(verb, name=self.name, **fields)
        return Call(self.of_kind.rpc(verb), request, self._load)

    def _load(self, message: Any) -> Self:
        self.__dict__.update(self.of_kind.decode(message, self._scope()))
        return self

    def _update(self, fields: Fields) -> Call[Self]:
        changed = self.of_kind.encode(fields, self._scope())
        changed.name = self.name
        request = self.of_kind.request(
            "Update", **{self.of_kind.snake: changed}, update_mask=mask(fields)
        )
        return Call(self.of_kind.rpc("Update"), request, self._load)

    def _scope(self) -> dict[str, str]:
        return scope_of(self._session, self.name.rpartition("/")[0].rpartition("/")[0], self.name)

    if not TYPE_CHECKING:  # checkers know the fields that each class declares

        def __getattr__(self, name: str) -> Any:
            """Loads the fields when the first one is needed; where that has to be awaited, asks."""
            known = name in self._fields()
            if not known:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            if isinstance(self._session, AsyncSession):
                raise AttributeError(f"{name} is not loaded: `await {self.id}.reload()` first")
            self.reload()
            return self.__dict__[name]

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(f"{name} cannot be assigned: fields are changed by update()")

    @classmethod
    def _fields(cls) -> Iterable[str]:
        fields: Iterable[str] = cls.of_kind.message.DESCRIPTOR.fields_by_name
        return fields

    def __repr__(self) -> str:
        loaded = [
            f"{field}={' '.join(repr(self.__dict__[field]).split())}"
            for field in self._fields()
            if field in self.__dict__ and field != "name"
        ]
        return f"<{' '.join([type(self).__name__, self.name, *loaded])}>"


class Deletable(Resource[Way]):
    """A resource that can be deleted."""

    @operation
    def delete(self) -> Call[None]:
        """Deletes the resource; FailedPrecondition says what still needs it."""
        request = self.of_kind.request("Delete", name=self.name)
        return Call(self.of_kind.rpc("Delete"), request, lambda _: None)


class Switchable(Resource[Way]):
    """A resource that can be taken out of use and put back."""

    @operation
    def disable(self) -> Call[Self]:
        """Takes it out of use."""
        return self._update({"enabled": False})

    @operation
    def enable(self) -> Call[Self]:
        """Puts it back into use."""
        return self._update({"enabled": True})


class Collection(Bound[Way], Generic[Way, R]):
    """The resources of one kind below one parent, by identifier."""

    resource: ClassVar[type[Resource[Any]]]
    has_parent: ClassVar[bool] = True  # false: a service has one list of them, so nobody asks which

    def __init__(self, session: Session, parent: str = "") -> None:
        super().__init__(session)
        self._parent = parent

    def __getitem__(self, resource_id: str) -> R:
        """Stands for one of them, without asking whether it exists."""
        one: R = self._one(full(self._home(), resource_id))
        return one

    @operation
    def get(self, resource_id: str) -> Call[R]:
        """Gets one of them; NotFound says that it does not exist."""
        name = full(self._home(), resource_id)
        request = self._kind.request("Get", name=name)
        return Call(self._kind.rpc("Get"), request, self._made)

    def __iter__(self: Collection[Sync, R]) -> Iterator[R]:
        """Yields all of them, sorted by name, page by page."""
        self._must_be(blocking=True, instead="async for")
        for page in self.pages():
            yield from page

    async def __aiter__(self: Collection[Async, R]) -> AsyncIterator[R]:
        """Yields all of them, sorted by name, page by page."""
        self._must_be(blocking=False, instead="for")
        async for page in self.pages():
            for resource in page:
                yield resource

    def __contains__(self: Collection[Sync, R], resource_id: str) -> bool:
        """Asks whether one exists."""
        self._must_be(blocking=True, instead="await get(), and NotFound, instead of in")
        try:
            self.get(resource_id)
        except NotFound:
            return False
        return True

    @overload
    def pages(self: Collection[Sync, R], page_size: int = 0) -> Iterator[list[R]]: ...
    @overload
    def pages(self: Collection[Async, R], page_size: int = 0) -> AsyncIterator[list[R]]: ...
    def pages(self, page_size: int = 0) -> Any:
        """Yields pages of them, sorted by name; 0 leaves the size to the service."""
        awaited = isinstance(self._session, AsyncSession)
        return self._pages_awaited(page_size) if awaited else self._pages(page_size)

    def _pages(self, page_size: int) -> Iterator[list[R]]:
        token = ""
        while True:
            found, token = self._session.run(self._page(page_size, token))
            yield found
            if not token:
                return

    async def _pages_awaited(self, page_size: int) -> AsyncIterator[list[R]]:
        token = ""
        while True:
            found, token = await self._session.run(self._page(page_size, token))
            yield found
            if not token:
                return

    def _page(self, page_size: int, token: str) -> Call[tuple[list[R], str]]:
        parent = {"parent": self._parent} if self._parent and self.has_parent else {}
        request = self._kind.request("List", "s", page_size=page_size, page_token=token, **parent)

        def read(answer: Any) -> tuple[list[R], str]:
            found = getattr(answer, self._kind.plural)
            return [self._made(message) for message in found], answer.next_page_token

        return Call(self._kind.rpc("List", "s"), request, read)

    def _create(self, resource_id: str, fields: Fields) -> Call[R]:
        request = self._creation(resource_id, fields)
        request.request_id = fresh_request_id()
        return Call(self._kind.rpc("Create"), request, self._made)

    def _batch_create(self, requests: Sequence[Any]) -> Call[list[R]]:
        """Plans the creation of all or none; each request may have a parent of its own."""
        parent = {"parent": self._parent} if self._parent else {}
        request = self._kind.request("BatchCreate", "s", requests=requests, **parent)

        def read(answer: Any) -> list[R]:
            return [self._made(message) for message in getattr(answer, self._kind.plural)]

        return Call(self._kind.rpc("BatchCreate", "s"), request, read)

    def _creations(self, fields: Mapping[str, Fields]) -> list[Any]:
        return [self._creation(resource_id, each) for resource_id, each in fields.items()]

    def _creation(self, resource_id: str, fields: Fields) -> Any:
        """Returns the request that creates one of them; in a batch it has no request_id."""
        kind = self._kind
        scope = scope_of(self._session, self._parent)
        request = {kind.snake: kind.encode(fields, scope), "request_id": ""}
        if self._parent:
            request["parent"] = self._parent
        if resource_id:
            request[f"{kind.snake}_id"] = resource_id
        return kind.request("Create", **request)

    @property
    def _kind(self) -> Kind:
        return self.resource.of_kind

    def _home(self) -> str:
        """What stands before the identifiers, e.g. "arrays/a1/volumes"."""
        collection = self._kind.collection
        return f"{self._parent}/{collection}" if self._parent else collection

    def _one(self, name: str, message: Any = None) -> Any:
        return self.resource(self._session, name, message)

    def _made(self, message: Any) -> Any:
        return self._one(message.name, message)

    def _must_be(self, *, blocking: bool, instead: str) -> None:
        """Tells who mixes up the two ways what to write."""
        if blocking == isinstance(self._session, AsyncSession):
            raise TypeError(f"{type(self).__name__} of this client: use {instead}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._home()}>"


def scope_of(session: Session, parent: str, name: str = "") -> dict[str, str]:
    """Returns what short names are completed with, for a resource or those below a parent."""
    host = "/".join(parent.split("/")[:2])
    return {"parent": parent, "name": name, "host": host, "multipath": session.multipath}


def across(
    collection: Collection[Any, R], parents: Sequence[str], fields: Mapping[str, Fields]
) -> Call[list[R]]:
    """Plans a batch below several parents: keys are paths of identifiers, as in "h1/v1/d0"."""
    requests = []
    for path, each in fields.items():
        *above, resource_id = path.split("/")
        if len(above) != len(parents):
            form = "/".join(["…"] * (len(parents) + 1))
            raise InvalidArgument.at(path, f"is no path of {len(parents) + 1} parts, {form}")
        parent = "/".join(part for pair in zip(parents, above, strict=True) for part in pair)
        own = type(collection)(collection._session, parent)
        requests.append(own._creation(resource_id, each))
    return collection._batch_create(requests)
