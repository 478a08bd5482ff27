"""What a run tells while it goes on: to the log in the simulator, to nobody in the tests of the core."""

from typing import Protocol

import structlog

from discord_simulator.ledger import FaultRecord, Incident
from discord_simulator.session import Session

_log = structlog.get_logger("discord_simulator")


class Journal(Protocol):
    """Hears of what happens, once each."""

    def incident(self, incident: Incident, *, violation: bool) -> None: ...

    def fault(self, fault: FaultRecord) -> None: ...

    def session(self, session: Session, what: str) -> None:
        """Hear that a session has begun, was resumed, lost its connection, or ended."""


class LogJournal:
    """Broken rules are warnings; the rest is information, and said only where a program has set up its log.

    Tests that use the simulator as a library would else find all of it on their standard output.
    """

    def incident(self, incident: Incident, *, violation: bool) -> None:
        (_log.warning if violation else _inform)(
            "rule broken" if violation else "incident",
            rule=incident.rule,
            code=incident.code,
            detail=incident.detail,
            shard=list(incident.shard) if incident.shard else None,
            session_id=incident.session_id,
        )

    def fault(self, fault: FaultRecord) -> None:
        _inform("fault", request=fault.request, met=fault.met)

    def session(self, session: Session, what: str) -> None:
        _inform(f"session {what}", shard=list(session.shard), session_id=session.id, seq=session.seq)


def _inform(event: str, **facts: object) -> None:
    if structlog.is_configured():
        _log.info(event, **facts)
