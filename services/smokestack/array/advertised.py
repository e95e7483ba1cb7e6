"""What an array says of itself; all of it is true until a fault makes it lie.

Who believes an array reads it in two places: its management API, and what its logical units answer
to hosts (READ CAPACITY, INQUIRY).  A lie changes what is said there and, but for a diversion,
nothing that happens.  What can be said falsely is our own choice ([P]); that a changed identifier
is told as 6/3F/05 is the standard's (FACTS 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from smokestack.engine.fault_rules import FaultKind
from smokestack.engine.faults import Fault, FaultState
from smokestack.engine.records import BLOCK_BYTES, Attention

from .checks import POOL_BYTES_MAX, VOLUME_BYTES_MAX
from .diversions import WRONG_VOLUME, Diversions
from .usage import Responses

if TYPE_CHECKING:
    from .inventory import ArrayInventory

VOLUME_OVERSTATED: Final = "VOLUME_OVERSTATED"
POOL_OVERSTATED: Final = "POOL_OVERSTATED"
LATENCY_UNDERSTATED: Final = "LATENCY_UNDERSTATED"
IDENTITY_CHANGED: Final = "IDENTITY_CHANGED"
KINDS: Final = (
    FaultKind(
        VOLUME_OVERSTATED,
        "arrays/a1/volumes/v1",
        "Hosts are told factor_per_mille / 1000 times the volume's size from their next rescan on; "
        "what lies beyond its end fails with 5/21/00.",
        per_io=False,
        takes_factor=True,
    ),
    FaultKind(
        POOL_OVERSTATED,
        "arrays/a1/pools/p1",
        "The array says that the pool has factor_per_mille / 1000 times the space that it has.",
        per_io=False,
        takes_factor=True,
    ),
    FaultKind(
        LATENCY_UNDERSTATED,
        "arrays/a1/volumes/v1",
        "The array says that the volume answers in a factor_per_mille / 1000th of the time that "
        "it takes.",
        per_io=False,
        takes_factor=True,
    ),
    FaultKind(
        IDENTITY_CHANGED,
        "arrays/a1/volumes/v1",
        "Hosts are told another identifier of the volume than its own from their next rescan on; "
        "that it has changed they hear at once (6/3F/05).",
        per_io=False,
    ),
    FaultKind(
        WRONG_VOLUME,
        "arrays/a1/exports/v1.h1",
        "Another volume stands behind the LUN: the next one of the pool by name. Data goes there.",
        per_io=False,
    ),
)
_KINDS: Final = frozenset(kind.name for kind in KINDS)


@lru_cache(maxsize=65_536)
def identifier_of(*parts: str) -> str:
    """Returns an identifier as a logical unit reports it: NAA 6, which has 31 hex digits more."""
    digest = blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
    return f"naa.6{digest[1:]}"


class Advertised:
    """What one array says of its volumes and pools."""

    def __init__(self, array: ArrayInventory) -> None:
        self._array = array
        self.diversions = Diversions(array)

    # --- what is said -----------------------------------------------------------------------

    def pool_capacity(self, pool_id: str) -> int:
        """Returns a pool's space as the management API has it."""
        spec = self._array.pools[pool_id]
        factor = self._factor(POOL_OVERSTATED, f"pools/{pool_id}")
        said = min(spec.capacity_bytes * factor // 1000, POOL_BYTES_MAX)
        return said // spec.page_bytes * spec.page_bytes

    def host_capacity(self, volume_id: str) -> int:
        """Returns a volume's size as its logical units have it: READ CAPACITY."""
        factor = self._factor(VOLUME_OVERSTATED, f"volumes/{volume_id}")
        said = self._array.volumes[volume_id].capacity_bytes * factor // 1000
        return min(said // BLOCK_BYTES * BLOCK_BYTES, VOLUME_BYTES_MAX)

    def identifier(self, volume_id: str) -> str:
        """Returns a volume's identifier as the management API has it: its own, for good."""
        return identifier_of(f"{self._array.name}/volumes/{volume_id}")

    def host_identifier(self, volume_id: str, host_id: str) -> str:
        """Returns the identifier that a host is told: INQUIRY, which goes where all goes."""
        volume_id = self.diversions.target(f"{volume_id}.{host_id}") or volume_id
        name = f"{self._array.name}/volumes/{volume_id}"
        fault = self._array.faults.holding(IDENTITY_CHANGED, name)
        return identifier_of(name, fault.name) if fault else self.identifier(volume_id)

    def responses(self, volume_id: str) -> Responses:
        """Returns how many commands a volume has answered, and in what time on average."""
        true = self.diversions.responses(volume_id)
        if not true.response_count:
            return true
        factor = self._factor(LATENCY_UNDERSTATED, f"volumes/{volume_id}")
        return Responses(true.response_count, true.mean_response_ns * 1000 // factor)

    def _factor(self, kind: str, resource: str) -> int:
        fault = self._array.faults.holding(kind, f"{self._array.name}/{resource}")
        return fault.rule.factor_per_mille if fault else 1000

    # --- lies that begin and end ------------------------------------------------------------

    def apply(self, fault: Fault, subjects: Sequence[str]) -> None:
        """Counts what a lie that begins is about, and leads commands where they now go."""
        if fault.rule.kind not in _KINDS:
            return
        if fault.state is FaultState.ACTIVE:
            fault.hits = sum(map(fault.matches, subjects))
        if fault.rule.kind == WRONG_VOLUME:
            self.diversions.fit()
        if fault.rule.kind == IDENTITY_CHANGED:
            for volume_id in self._array.volumes:
                if fault.matches(f"{self._array.name}/volumes/{volume_id}"):
                    self._array.establish_attention(
                        Attention.IDENTIFIER_CHANGED, fault.told_number, volume_id=volume_id
                    )
