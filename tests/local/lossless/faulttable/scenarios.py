"""All rows of the table, in its order, and the order they are run in."""

from itertools import chain, zip_longest

from .bot_faults import BOT_FAULTS
from .bound_faults import BOUND_FAULTS
from .discord_faults import DISCORD_FAULTS
from .disk_faults import DISK_FAULTS
from .process_faults import PROCESS_FAULTS
from .scenario import Scenario
from .world import USUAL

SCENARIOS: tuple[Scenario, ...] = (*BOT_FAULTS, *PROCESS_FAULTS, *DISK_FAULTS, *DISCORD_FAULTS, *BOUND_FAULTS)


def _run_order() -> tuple[Scenario, ...]:
    """Those with a world of their own last, and between two faults of Discord's one of the bot.

    A shard that lost its connection comes back at once if the one before had lasted for ten seconds, and less quickly
    if not: what the table is to show are the gaps of the first kind.
    """
    pairs = zip_longest(DISCORD_FAULTS, BOT_FAULTS)
    mixed = [scenario for scenario in chain.from_iterable(pairs) if scenario is not None]
    others = [scenario for scenario in SCENARIOS if scenario not in mixed]
    return tuple(sorted((*mixed, *others), key=lambda scenario: scenario.settings != USUAL))


IN_RUN_ORDER = _run_order()
