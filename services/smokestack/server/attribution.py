"""Where the time of a device's I/O went between two readings, and which layer is to blame for it.

The split adds up to what guests waited.  Queues are the host's; the array's is its volume's mean
response, as it says; the rest is the fabrics'.  What is sent again spent time elsewhere before
(``sent_again.py``): of that the array has the share of what it sent back, of what its ports lost,
and of what it was late with; the fabrics that of all else.

Accused is a layer whose share of an I/O exceeds what its configuration explains, without anybody
waiting and without anything being sent again, by as much as is explained of the whole way, of the
array no more than it took: waiting doubles a latency before it is called guilt.  That floor is
ours.  A layer below is accused before the host, for what it holds up queues there.  In the fabrics
it is the link whose far end was busiest taking frames, whoever waits for it; in the array who sent
most back, the port that lost most, or the station at which a command spends longest by its service
and its load; in the host the fullest queue, or the VM that fills it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from smokestack.engine.errors import FailedPrecondition, InvalidArgument
from smokestack.v1 import estate_pb2 as pb

from .latency_reading import Watched, watch
from .sent_again import SentAgain
from .topology import Part

HOST: Final = pb.LATENCY_LAYER_HOST
FABRIC: Final = pb.LATENCY_LAYER_FABRIC
ARRAY: Final = pb.LATENCY_LAYER_ARRAY
_NONE: Final = pb.LATENCY_LAYER_UNSPECIFIED
_FRAME_BYTES: Final = 2048  # as fabrics count them
_IDLE_MIN: Final = 0.02  # of a station's time: what answers in flight make of it is no matter; ours
_LOUDER: Final = 2  # as much waiting as the victim's makes another VM the noisy one; ours


class Suspect(NamedTuple):
    """A device that may be to blame: how much, beside others of its layer; and what says so."""

    weight: float
    name: str
    evidence: str


def mark(request: pb.MarkLatencyRequest, parts: list[Part]) -> pb.LatencyReading:
    """Reads the counters that an interval begins with."""
    seen = watch(request.target, parts)
    return pb.LatencyReading(target=request.target, time_ns=seen.now_ns, counters=seen.counters)


def attribute(request: pb.AttributeLatencyRequest, parts: list[Part]) -> pb.LatencyAttribution:
    """Compares what is read now with a reading."""
    since = request.since
    if not since.target or not since.counters:
        raise InvalidArgument.at("since", "it is no reading: MarkLatency returns one")
    return _Interval(watch(since.target, parts), since).attribution()


class _Interval:
    """Two readings, and what they say together."""

    def __init__(self, seen: Watched, since: pb.LatencyReading) -> None:
        self._seen = seen
        self._ns = seen.now_ns - since.time_ns
        self._grown = {
            key: value - since.counters.get(key, 0) for key, value in seen.counters.items()
        }
        gone_back = [key for key, value in sorted(self._grown.items()) if value < 0]
        if self._ns < 0 or gone_back:
            raise FailedPrecondition(
                "counters have gone back since the reading, as with a reset: mark anew",
                reason="COUNTERS_WENT_BACK",
            )
        self._ios = self._own("ios")
        if not self._ios or not self._ns:
            raise FailedPrecondition(
                f"no I/O of {seen.target} was answered since the reading", reason="NO_IO"
            )

    def _of(self, name: str, counter: str) -> int:
        return self._grown.get(f"{name}#{counter}", 0)

    def _own(self, counter: str) -> int:
        return self._of(self._seen.device.name, counter)

    def attribution(self) -> pb.LatencyAttribution:
        """Returns the split, and who is to blame if anybody is."""
        seen, ios = self._seen, self._ios
        shares = self._shares()
        fabric_ns, array_ns = self._explained()
        again, answering_ns = self._sent_again(), self._answering_ns() // ios
        floor_ns = fabric_ns + min(array_ns, answering_ns)  # less than all, if caches hit
        carrying_ns = (shares[FABRIC] - again.fabric_ns) // ios
        excess = {  # nothing explains an attempt that failed
            HOST: shares[HOST] // ios,
            FABRIC: again.fabric_ns // ios + max(carrying_ns - fabric_ns, 0),
            ARRAY: again.array_ns // ios + max(answering_ns - array_ns, 0),
        }
        answer = pb.LatencyAttribution(
            device=seen.device.name,
            interval_ns=self._ns,
            io_count=ios,
            guest_total_ns=self._own("guest_ns"),
            host_total_ns=shares[HOST],
            fabric_total_ns=shares[FABRIC],
            array_total_ns=shares[ARRAY],
            fabric_explained_ns=fabric_ns,
            array_explained_ns=array_ns,
            floor_ns=floor_ns,
        )
        below = FABRIC if excess[FABRIC] >= excess[ARRAY] else ARRAY
        layer = next((one for one in (below, HOST) if excess[one] > floor_ns), _NONE)
        if layer != _NONE:
            suspect = self._suspect(layer)
            answer.layer, answer.culprit = layer, suspect.name
            answer.evidence.append(
                f"{_us(shares[layer] // ios)} of {_us(self._own('guest_ns') // ios)} an I/O are "
                f"the layer's, {_us(excess[layer])} more than its configuration explains"
            )
            answer.evidence.append(suspect.evidence)
        return answer

    def _shares(self) -> dict[pb.LatencyLayer, int]:
        """Splits the time of all I/Os; the shares add up to it."""
        guest_ns, queue_ns = self._own("guest_ns"), self._own("queue_ns")
        array_ns = self._answering_ns() + self._sent_again().array_ns
        return {HOST: queue_ns, FABRIC: guest_ns - queue_ns - array_ns, ARRAY: array_ns}

    def _answering_ns(self) -> int:
        """Returns the array's part of what answers took, by the mean that it says."""
        volume = self._seen.device.volume
        responses = max(self._of(volume, "responses"), 1)
        response_ns = self._ios * self._of(volume, "response_ns") // responses
        return min(self._own("device_ns"), response_ns)

    def _sent_again(self) -> SentAgain:
        below_ns = self._own("device_ns") + self._own("queue_ns")
        return SentAgain.split(
            total_ns=self._own("guest_ns") - below_ns,
            count=self._own("retries"),
            sent_back=self._own("refusals") + self._own("not_ready"),
            timed_out=self._own("timed_out"),
            timeout_ns=self._seen.command_timeout_ns,
            lost=sum(self._of(port, "dropped") for port in self._ports()),
            held=sum(self._of(port, "aborted") for port in self._ports()),
        )

    def _ports(self) -> set[str]:
        return {path.port for path in self._seen.paths} & self._seen.ports.keys()

    def _explained(self) -> tuple[int, int]:
        """Returns what the fabrics and the array take of an I/O if it waits nowhere."""
        seen = self._seen
        size = self._own("bytes") // self._ios
        ports = [seen.ports[path.port] for path in seen.paths if path.port in seen.ports]
        links = [seen.links[name] for name in self._crossed() if name in seen.links]
        frames = -(-size // _FRAME_BYTES)
        rates = [one.bandwidth_bytes_per_second for one in links]
        fabric_ns = max((p.forward_latency_ns + p.return_latency_ns for p in ports), default=0)
        fabric_ns += max((frames * _FRAME_BYTES * 10**9 // r for r in rates if r), default=0)
        port_ns = max(
            (p.command_ns + size * 10**9 // p.bandwidth_bytes_per_second for p in ports), default=0
        )
        controllers = [seen.controllers[port.controller] for port in ports]
        core_ns = max((max(c.read_ns, c.write_ns) + c.mirror_ns for c in controllers), default=0)
        return fabric_ns, port_ns + core_ns + seen.pools[seen.volume.pool].media_ns

    def _crossed(self) -> set[str]:
        """Returns the links that the device's paths cross; a trunk only where there is one."""
        found: set[str] = set()
        service = "/".join(self._seen.device.name.split("/")[:2])
        for path in self._seen.paths:
            port = self._seen.ports.get(path.port)
            if port is not None:
                below = f"{service}/fabrics/{port.fabric}/links"
                _, array, _, port_id = port.name.split("/")
                ends = (path.initiator, f"{array}.{port_id}", "trunk")
                found.update(f"{below}/{end}" for end in ends)
        return found

    # --- the device in the layer ----------------------------------------------------------------

    def _suspect(self, layer: pb.LatencyLayer) -> Suspect:
        return {HOST: self._in_host, FABRIC: self._in_fabric, ARRAY: self._in_array}[layer]()

    def _in_fabric(self) -> Suspect:
        crossed = self._crossed()
        damaged = [(self._of(name, "crc_errors"), name) for name in crossed]
        errors, link = max(damaged, default=(0, ""))
        if errors and 2 * self._sent_again().fabric_ns > self._shares()[FABRIC]:
            return Suspect(1, link, f"{errors} frames failed their checksum on {link}")
        fabrics = {name.rpartition("/links/")[0] for name in crossed}
        return _worst(
            self._link(name)
            for name in self._seen.links
            if name.rpartition("/links/")[0] in fabrics
        )

    def _link(self, name: str) -> Suspect:
        busy_ns, frames = self._of(name, "busy_ns"), self._of(name, "frames")
        crossed = self._crossed()
        held_ns = sum(self._of(one, "waits_ns") for one in crossed if one != name)
        return Suspect(
            busy_ns / self._ns,
            name,
            f"{name} took {_us(busy_ns // max(frames, 1))} for each of {frames} frames, "
            f"{busy_ns / self._ns:.0%} of the time; "
            f"{'other' if name in crossed else 'its victims, the'} links of the device waited "
            f"{_us(held_ns)} for credits meanwhile",
        )

    def _in_array(self) -> Suspect:
        ports, again, own_ns = self._ports(), self._sent_again(), self._shares()[ARRAY]
        lost, losing = max(((self._of(p, "dropped"), p) for p in ports), default=(0, ""))
        if 2 * again.lost_ns > own_ns:
            return Suspect(1, losing, self._losses(losing, lost))
        refusals, refusing = max(((self._of(p, "refusals"), p) for p in ports), default=(0, ""))
        not_ready, volume = self._own("not_ready"), self._seen.device.volume
        if 2 * again.sent_back_ns > own_ns:
            if not_ready > self._own("refusals"):
                return Suspect(1, volume, f"{volume} was not ready for {not_ready} commands")
            if refusals:
                return Suspect(1, refusing, f"{refusing} refused {refusals} commands")
        controllers = {self._seen.ports[port].controller for port in ports}
        return _worst(
            [
                self._pool(self._seen.volume.pool),
                *map(self._controller, controllers),
                *map(self._port, ports),
            ]
        )

    def _losses(self, port: str, lost: int) -> str:
        link = "its link is up" if self._seen.ports[port].link_up else "its link is down"
        return (
            f"{port} lost {lost} commands and answers that it had taken, and {link}; "
            f"{self._own('timed_out')} of the device were not answered in time"
        )

    def _station(self, name: str, busy_ns: int, commands: int, servers: int, what: str) -> Suspect:
        """What a command spends there by its service and by how busy the station is: S/(1 - U)."""
        busy = busy_ns / (self._ns * max(servers, 1))
        each_ns = busy_ns // max(commands, 1)
        return Suspect(
            each_ns / max(1 - busy, _IDLE_MIN),
            name,
            f"{what} of {name} were busy {busy:.0%} of the time, {_us(each_ns)} for each of "
            f"{commands} commands",
        )

    def _pool(self, name: str) -> Suspect:
        disks, commands = self._seen.pools[name].disk_count, self._of(name, "commands")
        return self._station(name, self._of(name, "busy_ns"), commands, disks, f"{disks} disks")

    def _controller(self, name: str) -> Suspect:
        cores = self._seen.controllers[name].core_count
        ports = [port.name for port in self._seen.ports.values() if port.controller == name]
        commands = sum(self._of(port, "commands") for port in ports)
        return self._station(name, self._of(name, "busy_ns"), commands, cores, f"{cores} cores")

    def _port(self, name: str) -> Suspect:
        port, commands = self._seen.ports[name], self._of(name, "commands")
        most = max(self._of(name, "rx_bytes"), self._of(name, "tx_bytes"))
        busy_ns = most * 10**9 // port.bandwidth_bytes_per_second + commands * port.command_ns
        return self._station(name, busy_ns, commands, 1, "the wires")

    def _in_host(self) -> Suspect:
        device = self._seen.device
        queues = [
            self._queue(name, "adapter's", adapter.queue_depth)
            for name, adapter in self._seen.adapters.items()
        ]
        own = self._queue(device.name, "device's", device.queue_limit)
        suspect = _worst([own, *queues])
        return self._noisy() or own if suspect is own else suspect

    def _queue(self, name: str, whose: str, depth: int) -> Suspect:
        mean = self._of(name, "device_ns") / self._ns  # Little's law
        return Suspect(
            mean / max(depth, 1),
            name,
            f"{mean:.1f} commands were in flight on average at a depth of {depth} of the {whose} "
            f"queue, {name}",
        )

    def _noisy(self) -> Suspect | None:
        """Returns the VM that fills the queue of another one's disk."""
        disks = self._seen.disks
        if self._seen.target not in disks:
            return None
        waits: dict[str, int] = {}
        for disk, vm in disks.items():
            waits[vm] = waits.get(vm, 0) + self._of(disk, "total_ns")
        victim = disks[self._seen.target]
        loudest = max(sorted(waits), key=lambda vm: waits[vm])
        if loudest == victim or waits[loudest] <= _LOUDER * waits[victim]:
            return None
        return Suspect(
            1,
            loudest,
            f"{loudest} had {waits[loudest] / self._ns:.1f} commands outstanding on the device on "
            f"average, {victim} {waits[victim] / self._ns:.1f}",
        )


def _worst(suspects: Iterable[Suspect]) -> Suspect:
    return max(suspects, key=lambda one: (one.weight, one.name))


def _us(time_ns: int) -> str:
    return f"{time_ns / 1_000:,.1f} us"
