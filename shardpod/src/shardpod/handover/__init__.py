"""Handing guilds over between two sets of shards, without I/O and without a clock: what the two sides compare.

Both sets receive every event, in sessions that share nothing but the content of what they receive.
"""

from .custody import UNCONCERNED, Custody, HandoverReport
from .effects import Deliver, Discard, Effect, Release, Settle, StartLanes, StopLanes
from .fingerprint import fingerprint, has_own_id
from .history import History, Seen
from .matching import Matching, Tail, Unmatched, pack, rehearse, unpack
from .orders import HandoverOrder, Orders
from .routing import concerned, is_of_session, key_of
from .verdict import Verdict
from .windows import Windows

__all__ = [
    "UNCONCERNED",
    "Custody",
    "Deliver",
    "Discard",
    "Effect",
    "HandoverOrder",
    "HandoverReport",
    "History",
    "Matching",
    "Orders",
    "Release",
    "Seen",
    "Settle",
    "StartLanes",
    "StopLanes",
    "Tail",
    "Unmatched",
    "Verdict",
    "Windows",
    "concerned",
    "fingerprint",
    "has_own_id",
    "is_of_session",
    "key_of",
    "pack",
    "rehearse",
    "unpack",
]
