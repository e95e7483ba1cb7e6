"""What the handlers of all of a multipath layer's resources share: names."""

from __future__ import annotations

from typing import Final

from smokestack.engine.errors import NotFound
from smokestack.engine.names import NameForm
from smokestack.engine.requests import Requests

from .model import MultipathModel

MULTIPATH: Final = NameForm("multipaths/m1")


class Handlers:
    """The base of the layer's handlers, of whichever kind."""

    _model: MultipathModel
    _requests: Requests

    def _parse(self, form: NameForm, name: str, field: str = "name") -> tuple[str, ...]:
        """Returns a name's identifiers below the layer; refuses a name in another layer."""
        multipath_id, *rest = form.parse(name, field)
        if multipath_id != self._model.spec.name:
            raise NotFound.of(MULTIPATH.format(multipath_id))
        return tuple(rest)

    def _name(self, form: NameForm, *identifiers: str) -> str:
        return form.format(self._model.spec.name, *identifiers)
