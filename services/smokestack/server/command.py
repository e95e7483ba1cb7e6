"""Serves one room as another process's child, from a command line: see ``__main__``.

The first line of standard output is JSON: where the service is served, or why it is not.  People
use `smokestack array serve` and its siblings, which say the same in words.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence

from smokestack.engine.errors import Refused
from smokestack.multipath.specs import SETTINGS, MultipathSpec

from .link import DEADLINE_SECONDS
from .listen import Endpoint
from .serve import (
    MULTIPATH_DEADLINE_SECONDS,
    end_with_stdin,
    serve_array,
    serve_hypervisor,
    serve_multipath,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to end; 1 if the service cannot start."""
    options = _parser().parse_args(arguments)
    if options.with_parent:
        end_with_stdin()
    common = {"insecure": options.insecure, "ready": _announce}
    try:
        if options.service == "array":
            serve_array(
                options.name,
                options.listen,
                options.metrics_listen,
                seed=options.seed,
                state=options.state,
                **common,
            )
        elif options.service == "multipath":
            serve_multipath(
                dict(options.array),
                options.listen,
                options.metrics_listen,
                state=options.state,
                spec=MultipathSpec(options.name, **{n: getattr(options, n) for n in SETTINGS}),
                deadline_seconds=options.deadline_seconds,
                **common,
            )
        else:
            serve_hypervisor(
                options.multipath,
                options.listen,
                options.metrics_listen,
                name=options.name,
                seed=options.seed,
                state=options.state,
                deadline_seconds=options.deadline_seconds,
                **common,
            )
    except Refused as refused:
        _say({"error": refused.message, "code": refused.code})
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m smokestack.server", description=__doc__)
    services = parser.add_subparsers(dest="service", required=True)
    array, multipath, hypervisor = (
        services.add_parser(name) for name in ("array", "multipath", "hypervisor")
    )
    for service in (array, multipath, hypervisor):
        service.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
        service.add_argument("--metrics-listen", metavar="HOST:PORT")
        service.add_argument("--insecure", action="store_true")
        service.add_argument("--state", metavar="DIR")
        service.add_argument(
            "--with-parent", action="store_true", help="end when standard input ends"
        )
    array.add_argument("--name", default="a1")
    multipath.add_argument("--name", default=MultipathSpec.name)
    multipath.add_argument(
        "--array", type=_named, action="append", default=[], metavar="ID=ADDRESS"
    )
    for name, default in MultipathSpec().settings().items():
        multipath.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    multipath.add_argument("--deadline-seconds", type=float, default=DEADLINE_SECONDS)
    hypervisor.add_argument("--name", default="hv1")
    hypervisor.add_argument("--multipath", required=True, metavar="HOST:PORT")
    hypervisor.add_argument("--deadline-seconds", type=float, default=MULTIPATH_DEADLINE_SECONDS)
    for service in (array, hypervisor):
        service.add_argument("--seed", type=int, default=1)
    return parser


def _named(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not (name and equals and address):
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=HOST:PORT")
    return name, address


def _announce(endpoint: Endpoint) -> None:
    _say(
        {
            "name": endpoint.name,
            "address": endpoint.address,
            "metrics_url": endpoint.metrics_url,
            "pid": os.getpid(),
        }
    )


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)
