"""Kills an array again and again under calls and I/O, and looks at what is left each time."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import grpc

from smokestack.server.environment import prepare_grpc
from smokestack.v1 import array_pb2, simulation_pb2

from .beat import Beat
from .checks import check
from .clients import ARRAY, Api, Client, build, holdings_of
from .driver import Driver

CLIENTS: Final = 5
_COMMAND: Final = ("array", "serve", "--listen", "127.0.0.1:0", "--json", "--state")
# In some rounds the journal is cut short so often that kills come while a checkpoint is made.
_OFTEN: Final = """
from smokestack.server import journal
journal.TICK_SECONDS, journal._WORK_MIN = 0.03, 30
from smokestack.cli.main import main
main()
"""


@dataclass
class Summary:
    """What a run has done and found."""

    kills: int = 0
    kills_of_a_start: int = 0
    acknowledged_calls: int = 0
    refused_calls: int = 0
    unanswered_calls: int = 0
    answered_writes: int = 0
    answered_locks: int = 0
    pages: int = 0
    virtual_ns: int = 0
    lost_io_seconds_max: float = 0.0
    start_seconds_mean: float = 0.0
    start_seconds_max: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Summary) -> None:
        """Takes another lane's in."""
        starts = self.kills * self.start_seconds_mean + other.kills * other.start_seconds_mean
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name.endswith("_max") else mine + value)
        self.start_seconds_mean = starts / max(self.kills, 1)


class Server:
    """One array process, as people start it."""

    def __init__(self, state: Path, often: bool) -> None:
        begin = ("-c", _OFTEN) if often else ("-m", "smokestack.cli")
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *begin, *_COMMAND, str(state)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=prepare_grpc(dict(os.environ)),
        )

    def address(self) -> str:
        """Returns where it serves, once it does."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"it does not start: {self.process.stderr.read().decode()}")
        return str(json.loads(line)["address"])

    def kill(self) -> float:
        """Kills it; returns when."""
        now = time.monotonic()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return now


class Lane:
    """One array, killed again and again."""

    def __init__(self, seed: str, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.state = folder / "state"
        self.copy = folder / "copy"
        self.clients = [
            Client(f"k{n}", random.Random(f"{seed} client {n}")) for n in range(CLIENTS)
        ]
        self.driver = Driver(random.Random(f"{seed} driver"))
        self.summary = Summary()
        self.starts: list[float] = []
        server = Server(self.state, often=False)
        try:
            with grpc.insecure_channel(server.address()) as channel:
                build(Api.at(channel))
        finally:
            self.killed = server.kill()

    def run(self, kills: int) -> Summary:
        """Kills so many times; stops at the first thing that is wrong."""
        while self.summary.kills < kills and not self.summary.wrong:
            self.summary.kills += 1
            if self.rng.random() < 0.08:
                self._kill_a_start()
            self._round()
        done = self.summary
        done.acknowledged_calls = sum(client.ledger.acknowledged for client in self.clients)
        done.refused_calls = sum(client.ledger.refused for client in self.clients)
        done.answered_writes = self.driver.written.count
        done.answered_locks = self.driver.written.locked
        done.start_seconds_mean = sum(self.starts) / max(len(self.starts), 1)
        done.start_seconds_max = max(self.starts, default=0.0)
        return done

    def _kill_a_start(self) -> None:
        """Kills a process that may not have come to serve."""
        server = Server(self.state, often=False)
        time.sleep(self.rng.uniform(0.0, 0.6))
        server.kill()
        self.summary.kills_of_a_start += 1

    def _round(self) -> None:
        """Starts the array, lets all work on it, kills it, and looks at what is left."""
        beat = Beat(self.state.parent / "beat")
        server = Server(self.state, often=self.rng.random() < 0.4)
        over = threading.Event()
        try:
            address = server.address()
            self.starts.append(time.monotonic() - server.began)
            with grpc.insecure_channel(address) as channel, beat:
                api = Api.at(channel)
                self._check_served(api)
                now_ns = api.simulation.GetSimulation(simulation_pb2.GetSimulationRequest()).now_ns
                jobs = [
                    threading.Thread(target=client.run, args=(api, over)) for client in self.clients
                ]
                jobs.append(threading.Thread(target=self.driver.run, args=(address, now_ns, over)))
                for job in jobs:
                    job.start()
                time.sleep(self._lasts())
                self.killed = server.kill()
                over.set()
                for job in jobs:
                    job.join()
        finally:
            server.kill()
        self._look(beat.slowest_seconds)

    def _lasts(self) -> float:
        """Returns how long to let all work: mostly short, for kills are what this is about."""
        long = self.rng.random() < 0.04
        return self.rng.uniform(1.6, 2.2) if long else self.rng.uniform(0.01, 0.3)

    def _look(self, beat_seconds: float) -> None:
        """Brings a copy back in this process, and settles each client's book with it."""
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.state, self.copy)
        done = self.summary
        self.open = {client.name: client.ledger.open for client in self.clients}
        done.unanswered_calls += sum(step is not None for step in self.open.values())
        written = self.driver.written
        found = check(self.copy, self.clients, written, self.killed, beat_seconds)
        done.wrong += found.wrong
        for client in self.clients:
            done.wrong += client.wrong
            settled = client.ledger.settle(found.holdings[client.name])
            done.wrong += [f"{client.name}: {settled}"] if settled else []
        done.pages, done.virtual_ns = found.pages, found.now_ns
        done.lost_io_seconds_max = max(done.lost_io_seconds_max, found.lost_seconds)

    def _check_served(self, api: Api) -> None:
        """Asks the array that has come back what it has, and again what it never answered."""
        found = holdings_of(api, self.clients)
        for client in self.clients:
            if not client.ledger.holdings.same(found[client.name]):
                self.summary.wrong.append(f"{client.name} is served other things than were kept")
        pools = api.array.ListPools(array_pb2.ListPoolsRequest(parent=ARRAY, page_size=1000))
        volumes = api.array.ListVolumes(array_pb2.ListVolumesRequest(parent=ARRAY, page_size=1000))
        for pool in pools.pools:
            taken = sum(v.allocated_bytes for v in volumes.volumes if v.pool == pool.name)
            if taken < pool.allocated_bytes - pool.snapshot_bytes:  # clones share
                self.summary.wrong.append(f"{pool.name} has more than its volumes: {pool}")
        for client in self.clients:
            client.retry(api, getattr(self, "open", {}).get(client.name))
