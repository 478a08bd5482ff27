"""A world for the scenarios, and the rows that they made."""

import itertools
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LOCAL = HERE.parents[1] / "local"
# Tests are no packages themselves: `clustertable` is here; `faulttable` and `reshardtable`, whose counting it shares,
# are with the tests of one machine.
for place in (LOCAL / "lossless", LOCAL / "resharding", HERE.parent, HERE):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from clustertable import installation  # noqa: E402 - found by the path above
from clustertable.world import World  # noqa: E402
from harness.faults import Faults  # noqa: E402
from harness.own_cluster import OwnCluster  # noqa: E402

IMAGE = "LOSSLESS_IMAGE"
"""Set to the name of an image that the nodes have already: then none is built."""


class Worlds:
    """One at a time, in a namespace of its own: the same again while it has as many shards as are wanted."""

    def __init__(self, cluster, faults, image):
        self._make = lambda name: World(cluster, faults, name, image)
        self._cluster = cluster
        self._image = image
        self._faults = faults
        self._names = (f"lossless-{os.getpid()}-{number}" for number in itertools.count(1))
        self._name = None
        self._world = None

    def get(self, shards):
        if self._world is not None and self._world.shards != shards:
            self.close()
        if self._world is None:
            self._name = next(self._names)
            self._world = self._make(self._name)
            if shards:
                self._world.create(shards)
                self._world.at_rest(shards)
        return self._world

    def close(self):
        """End the present world; also what had begun of one that did not come to be."""
        self._faults.undo()
        if self._name is not None:
            installation.remove(self._cluster, self._name, self._image)
        self._world = self._name = None


@pytest.fixture(scope="module")
def worlds(cluster, request):
    """Worlds that scenarios share; nothing of them is left at the end, whatever happened."""
    if not isinstance(cluster, OwnCluster):
        pytest.skip("faults of nodes are done only to a cluster of the tests' own, and KUBECONFIG names one of yours")
    image = os.environ.get(IMAGE) or request.getfixturevalue("project_image")
    shared = Worlds(cluster, Faults(cluster), image)
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def rows():
    """What came of the scenarios of this run, in their order."""
    return {}
