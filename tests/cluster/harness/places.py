"""Where the harness keeps things: nothing of it is in the checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[3]
"""The checkout."""
HERE = Path(__file__).parent

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "discord-gateway-tests" / "cluster"
"""What is expensive to make, each thing under its version; survives every cluster."""

RUN = Path(os.environ.get("DGW_TEST_CLUSTER_DIR") or "/var/lib/discord-gateway-test-cluster")
"""All of one cluster. One place for the whole machine: its addresses are fixed, so there can be only one.
Short, because paths of unix sockets end after 107 bytes; and no tmpfs, because all images are unpacked in it."""
