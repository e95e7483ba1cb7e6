"""A whole stack of processes: one for each service, connected over gRPC and built from here.

The children end with this process, however it ends: each watches a pipe that only we hold open.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import grpc

from smokestack.engine.errors import Unavailable
from smokestack.v1 import (
    array_pb2_grpc,
    hypervisor_pb2_grpc,
    multipath_pb2_grpc,
    scenario_pb2,
    simulation_pb2,
    simulation_pb2_grpc,
    snapshots_pb2,
)

from .build import Api, build
from .environment import prepare_grpc
from .errors import refused_from
from .listen import MESSAGE_BYTES_MAX, Endpoint
from .stack import multipath_spec, seed_of

_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.enable_http_proxy", 0),
    # A process that was started again is found at once, not when gRPC's doubled waits are over.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
)
_REACH_SECONDS = 60.0  # for an answer of a process that serves already, on a busy machine
_REACH_ATTEMPTS = 5  # each that fails has used up a connection to the process that is gone


class Child:
    """One service's process, started and answering."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Starts it and waits until it says where it is served; UNAVAILABLE says why it is not."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}", *arguments, "--with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=prepare_grpc(dict(os.environ)),
            start_new_session=True,  # an interrupt at the terminal is ours to handle
        )
        try:
            self.endpoint = self._endpoint(arguments[0])
        except BaseException:
            self.kill()
            raise

    def _endpoint(self, service: str) -> Endpoint:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise Unavailable(f"the {service} process ended with {code} before it served anything")
        said = json.loads(line)
        if "error" in said:
            raise Unavailable(f"the {service} process: {said['error']}")
        return Endpoint(said["name"], said["address"], said["metrics_url"])

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def kill(self) -> None:
        """Kills it, as a crash would: nothing that it holds is meant to outlive it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Processes:
    """The processes of a scenario, built and connected; a context manager that ends them."""

    def __init__(
        self, scenario: scenario_pb2.Scenario, *, metrics: bool = False, state: str = ""
    ) -> None:
        """Starts and builds all of it; ScenarioError names the place of what is refused.

        With ``state``, a directory, each service keeps what it has below it.
        """
        self._resources = ExitStack()
        self._state = state
        self._extra = ("--metrics-listen", "127.0.0.1:0") if metrics else ()
        seed = str(seed_of(scenario))
        try:
            self.arrays = {
                array.name: self._start(*self._array(array.name), "--seed", seed)
                for array in scenario.arrays
            }
            spec = multipath_spec(scenario)
            self._multipath = (
                *("multipath", "--name", spec.name),
                *(f"--{name.replace('_', '-')}={n}" for name, n in spec.settings().items()),
                *(
                    f"--array={array_id}={child.endpoint.address}"
                    for array_id, child in self.arrays.items()
                ),
                *self._kept("multipath."),
            )
            self.multipath = self._start(*self._multipath)
            self._hypervisor = (
                *("hypervisor", "--multipath", self.multipath.endpoint.address, "--seed", seed),
                *self._kept("hypervisor."),
            )
            self.hypervisor = self._start(*self._hypervisor)
            self.api = self._api()
            build(scenario, self.api)
            for name, simulation in self.api.simulations.items():
                request = snapshots_pb2.StartRecordingRequest()
                if name == self.hypervisor.endpoint.name:
                    request.scenario.CopyFrom(scenario)
                simulation.StartRecording(request)
        except BaseException:
            self.close()
            raise

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the services are served, from the top of the stack down."""
        children = (self.hypervisor, self.multipath, *self.arrays.values())
        return tuple(child.endpoint for child in children)

    def close(self) -> None:
        """Ends all processes."""
        self._resources.close()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def restart_array(self, array_id: str) -> None:
        """Kills an array's process and starts another one at its address: it has what it kept.

        The stack finds it at the next rescan.
        """
        self.arrays[array_id] = self._again(self.arrays[array_id], self._array(array_id))

    def restart_multipath(self) -> None:
        """Kills the multipath process and starts another one at its address."""
        self.multipath = self._again(self.multipath, self._multipath)

    def restart_hypervisor(self) -> None:
        """Kills the hypervisor's process and starts another one at its address."""
        self.hypervisor = self._again(self.hypervisor, self._hypervisor)

    def _again(self, child: Child, arguments: Sequence[str]) -> Child:
        address = child.endpoint.address
        child.kill()
        with _kept_free(address):
            other = self._start(*arguments, "--listen", address)
        self._reach(other)
        return other

    def _reach(self, child: Child) -> None:
        """Has the API's channel find a process that was started in another one's place.

        gRPC may take the dead one's connection for open until a call has failed on it: here this
        is a question that may be asked again, never the caller's own call.
        """
        ask = self.api.simulations[child.endpoint.name].GetSimulation
        for left in reversed(range(_REACH_ATTEMPTS)):
            try:
                ask(
                    simulation_pb2.GetSimulationRequest(),
                    wait_for_ready=True,
                    timeout=_REACH_SECONDS,
                )
                return
            except grpc.RpcError as error:
                if not left or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise refused_from(error) from None

    def _kept(self, name: str) -> tuple[str, ...]:
        """Returns where a service keeps what it has; no array is named with a dot."""
        return ("--state", f"{self._state}/{name}") if self._state else ()

    def _array(self, array_id: str) -> tuple[str, ...]:
        return ("array", "--name", array_id, *self._kept(array_id))

    def _start(self, *arguments: str) -> Child:
        child = Child([*arguments, *self._extra])
        self._resources.callback(child.kill)
        return child

    def _api(self) -> Api:
        hypervisor, multipath = self._channel(self.hypervisor), self._channel(self.multipath)
        arrays = {array_id: self._channel(child) for array_id, child in self.arrays.items()}
        channels = {
            self.hypervisor.endpoint.name: hypervisor,
            self.multipath.endpoint.name: multipath,
            **{child.endpoint.name: arrays[a] for a, child in self.arrays.items()},
        }
        simulations = {
            name: simulation_pb2_grpc.SimulationServiceStub(channel)
            for name, channel in channels.items()
        }
        return Api(
            arrays={a: array_pb2_grpc.ArrayServiceStub(channel) for a, channel in arrays.items()},
            multipath=multipath_pb2_grpc.MultipathServiceStub(multipath),
            hypervisor=hypervisor_pb2_grpc.HypervisorServiceStub(hypervisor),
            simulation=simulations[self.hypervisor.endpoint.name],
            simulations=simulations,
        )

    def _channel(self, child: Child) -> grpc.Channel:
        channel = grpc.insecure_channel(child.endpoint.address, options=_OPTIONS)
        self._resources.callback(channel.close)
        return channel


@contextmanager
def _kept_free(address: str) -> Iterator[None]:
    """Keeps a loopback port from those who ask for any free one; who asks for this one gets it."""
    host, _, port = address.rpartition(":")
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC's listener does
        keeper.bind((host, int(port)))
        yield
