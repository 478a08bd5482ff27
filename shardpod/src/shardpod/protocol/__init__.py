"""Discord's gateway protocol for one shard, without I/O: bytes in; events, bytes and timers out.

Nothing in this package opens a socket, reads a clock or rolls dice: time and randomness are passed in, so that
every path can be run in a test, and the same code serves production, the simulated runs and the fuzzer.
"""

from .close_codes import CLOSE_RESUMABLE, AfterClose, after_close, explain_close
from .compression import MAX_PAYLOAD_BYTES
from .effects import Close, Connect, Effect, IdentifySent, Send, SessionEnded
from .errors import ProtocolError
from .event import Event, Session
from .outgoing import SessionSettings, voice_state
from .shard import ShardProtocol
from .state import ShardState

__all__ = [
    "CLOSE_RESUMABLE",
    "MAX_PAYLOAD_BYTES",
    "AfterClose",
    "Close",
    "Connect",
    "Effect",
    "Event",
    "IdentifySent",
    "ProtocolError",
    "Send",
    "Session",
    "SessionEnded",
    "SessionSettings",
    "ShardProtocol",
    "ShardState",
    "after_close",
    "explain_close",
    "voice_state",
]
