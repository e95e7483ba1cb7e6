"""python -m tests.server.kill --kills 200 --seed 1: kills arrays, and says what survived.

Arrays are started as people start them, `smokestack array serve --state DIR`, in one lane or more;
in each, clients create, grow, export and delete and a driver writes, until SIGKILL at an instant
that the seed chooses.  What is left is brought back and compared with all that was acknowledged.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from tests.server.kill.lanes import run


def main() -> int:
    """Runs from the command line; 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.server.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=2, help="arrays at a time")
    options = parser.parse_args()
    began = time.monotonic()
    total = run(options.kills, options.seed, options.lanes)
    found = {name: v for name, v in asdict(total).items() if name != "wrong"}
    print(json.dumps({"seed": options.seed, **found}, indent=2))
    print(f"{total.kills} kills in {time.monotonic() - began:.0f} s: ", end="")
    print("; ".join(total.wrong) if total.wrong else "all that was acknowledged survived")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
