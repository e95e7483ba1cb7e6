"""What a snapshot holds of a hypervisor: its tables and inventory, and completions in hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from smokestack.engine import events_copy, faults_copy
from smokestack.engine.blockdevice import Reply
from smokestack.engine.jobplan import JobKind, JobPlan, Pattern
from smokestack.engine.snapshot import Keeper
from smokestack.engine.tables_copy import Copying, TableCopy, checked_tables, copy_tables

from .inventory import Disk, Job, Vm
from .specs import DiskSpec, HostSpec, VmSpec
from .traces import Traces

if TYPE_CHECKING:
    from .model import HypervisorModel
    from .scripted import ScriptedIos

_CLASSES: Final = (
    *events_copy.CLASSES,
    *faults_copy.CLASSES,
    TableCopy,
    Disk,
    DiskSpec,
    HostSpec,
    Job,
    JobKind,
    JobPlan,
    Pattern,
    Vm,
    VmSpec,
)
_COPYING: Final = Copying(
    sparse=frozenset({"histogram", "wait"}),
    heads={"inbox": "inbox_count", "note": "note_count", "chunk": "chunk_used"},
    scratch=frozenset({"out"}),
)
_HELD: Final = ("hosts", "vms", "disks", "jobs")


class HypervisorPart:
    """A hypervisor's model as a part of its service; its link is no part of it."""

    def __init__(self, model: HypervisorModel) -> None:
        self._model = model

    def save(self) -> Any:
        """Returns a copy of tables and inventory, and whether its device was attached."""
        model, reply = self._model, self._model._reply
        return {
            "tables": copy_tables(model.state, _COPYING),
            "held": {name: getattr(model, name).copy() for name in _HELD},
            "in_hand": None if reply is None else reply.records[: reply.count].copy(),
            "next_ns": model._next_ns,
            "windows": model.windows,
            "seed": model.seed,
            "attached": model.attached,
        }

    def load(self, saved: Any) -> Callable[[], None]:
        """Checks a copy, and returns what puts it in place."""
        model = self._model
        put_tables = checked_tables(model.state, saved["tables"], _COPYING, model.name)
        held = {name: saved["held"][name].copy() for name in _HELD}
        records, next_ns = saved["in_hand"], saved["next_ns"]

        def put() -> None:
            put_tables()
            for name in _HELD:
                setattr(model, name, held[name])
            model._reply = None if records is None else Reply(records, len(records), next_ns)
            model._next_ns, model._adrift = next_ns, False
            model.windows, model.seed = saved["windows"], saved["seed"]

        return put


class WirePart:
    """What a hypervisor's wire remembers: how jobs and traces were described, and scripted I/Os."""

    def __init__(
        self,
        jobs: dict[tuple[str, ...], Any],
        traces: Traces,
        ios: ScriptedIos,
        job_of: Callable[[bytes], Any],
        trace_of: Callable[[bytes], Any],
    ) -> None:
        """Takes what holds the descriptions, which are messages, and what reads them from bytes."""
        self._jobs = jobs
        self._traces = traces
        self._ios = ios
        self._job_of = job_of
        self._trace_of = trace_of

    def save(self) -> Any:
        """Returns copies of descriptions, as bytes, and how far scripted I/O has got."""
        return {
            "jobs": {key: job.SerializeToString() for key, job in self._jobs.items()},
            "traces": {
                trace_id: (records, trace.SerializeToString())
                for trace_id, (records, trace) in self._traces.copy().items()
            },
            "ios": self._ios.save(),
        }

    def load(self, saved: Any) -> Callable[[], None]:
        """Checks copies, and returns what puts them in place."""
        jobs = {key: self._job_of(job) for key, job in saved["jobs"].items()}
        traces = {
            trace_id: (records, self._trace_of(trace))
            for trace_id, (records, trace) in saved["traces"].items()
        }

        def put() -> None:
            self._jobs.clear()
            self._jobs.update(jobs)
            self._traces.go_back(traces)
            self._ios.go_back(*saved["ios"])

        return put


def keeper_of(model: HypervisorModel) -> Keeper:
    """Returns what keeps a hypervisor's parts."""
    keeper = Keeper(model.name, lambda: model.now_ns, _CLASSES)
    keeper.parts["model"] = HypervisorPart(model)
    keeper.parts["events"] = events_copy.EventsPart(model.events)
    keeper.parts["faults"] = faults_copy.FaultsPart(model.faults, values=("_jobs",))
    return keeper
