"""`python -m smokestack.server ROOM ...`: how a stack of processes starts each of them."""

from __future__ import annotations

import sys

from .environment import prepare_grpc

if __name__ == "__main__":
    prepare_grpc()
    from .command import main

    sys.exit(main())
