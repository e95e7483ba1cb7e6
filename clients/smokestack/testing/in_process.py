"""A stack served by threads of this process: the quickest to start and to reset."""

from __future__ import annotations

from collections.abc import Mapping

from .server import Closing, ServerRefused
from .source import Source


class InProcess(Closing):
    """Serves a scenario on free ports of this machine."""

    def __init__(self, source: Source | None = None) -> None:
        """Builds and serves it; ServerRefused says where the scenario is wrong."""
        from smokestack.server.clocks import ClockSettings
        from smokestack.server.scenario import ScenarioError, default_scenario, parse_scenario
        from smokestack.server.stack import Stack, seed_of

        self.source = source or Source()
        try:
            scenario = default_scenario()
            if self.source.text:
                scenario = parse_scenario(self.source.text, self.source.base)
            self._stack = Stack(scenario, ClockSettings(autojump=True))
        except ScenarioError as error:
            raise ServerRefused(f"{self.source}: {error}") from error
        self._seed = seed_of(scenario)
        self._stack.serve()

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each service is served."""
        return {endpoint.name: endpoint.address for endpoint in self._stack.endpoints}

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Where each service's metrics are."""
        return {endpoint.name: endpoint.metrics_url for endpoint in self._stack.endpoints}

    def reset(self, seed: int | None = None) -> int:
        """Brings the stack back to time 0."""
        seed = self._seed if seed is None else seed
        self._stack.reset(seed)
        return seed

    def close(self) -> None:
        """Stops serving."""
        self._stack.close()
