"""What runs in the cluster and is asked over HTTP from outside: the simulated Discord, and the bot."""

import json
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from harness.kubectl import Client

from discord_simulator.ledger import EventRow

TIMEOUT_S = 60.0
"""For one request: a whole ledger is megabytes, and the machine may be busy."""


def ask(url: str, method: str = "GET", body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=TIMEOUT_S) as answer:
        return json.loads(answer.read())


class Totals(NamedTuple):
    """What the ledger counted so far: `events` were published, whether to a session or to none."""

    events: int
    identifies: int
    violations: int


class Discord:
    """The simulator's control port, and its log."""

    def __init__(self, cluster: Client, namespace: str, pod: str, address: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._pod = pod
        self._control = f"http://{address}:8082"

    def start_load(self, rate: float, look_alikes: float) -> None:
        ask(f"{self._control}/load", "POST", {"rate": rate, "look_alikes": look_alikes})

    def stop_load(self) -> None:
        ask(f"{self._control}/load", "DELETE")

    def published(self) -> int:
        """Events of the present load so far."""
        return int(ask(f"{self._control}/load")["published"])

    def connected(self) -> list[tuple[int, int]]:
        """The shards whose sessions have a connection."""
        sessions = ask(f"{self._control}/sessions")
        return sorted(tuple(session["shard"]) for session in sessions if session["connected"])

    def totals(self) -> Totals:
        summary = ask(f"{self._control}/ledger/summary")
        return Totals(summary["sent"] + summary["unrouted"], summary["identifies"], len(summary["violations"]))

    def violations(self, since: int) -> list[str]:
        return [one["detail"] for one in ask(f"{self._control}/ledger/summary")["violations"][since:]]

    def rows(self) -> list[EventRow]:
        rows = ask(f"{self._control}/ledger")["events"]
        return [
            (number, event_type, guild, kind, [(session, seq) for session, seq in receivers])
            for number, event_type, guild, kind, receivers in rows
        ]

    def connections(self, since: datetime) -> list["Connection"]:
        """What has become of its sessions' connections since then, by its log."""
        asked = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = self._cluster.logs(self._pod, self._namespace, f"--since-time={asked}").splitlines()
        found = [json.loads(line) for line in lines if '"session ' in line]
        told = [Connection(one["session_id"], one["event"], datetime.fromisoformat(one["timestamp"])) for one in found]
        return [one for one in told if one.at >= since]


class Connection(NamedTuple):
    """`event`: session begun, disconnected, resumed or ended."""

    session: str
    event: str
    at: datetime


def longest_gap(connections: Iterable[Connection]) -> float:
    """For how many seconds a session had no connection at most, of gaps that a Resume has ended."""
    lost: dict[str, datetime] = {}
    longest = 0.0
    for one in connections:
        if one.event == "session disconnected":
            lost.setdefault(one.session, one.at)
        elif (since := lost.pop(one.session, None)) is not None and one.event == "session resumed":
            longest = max(longest, (one.at - since).total_seconds())
    return longest


class Taken(NamedTuple):
    """One event as the bot took it. `content`: the fingerprint that it carries around a handover, else ""."""

    key: str
    guild_id: str | None
    content: str


class Bot:
    def __init__(self, address: str) -> None:
        self._url = f"http://{address}:8080"

    def arrivals(self, since: int) -> list[Taken]:
        return [Taken(*one) for one in ask(f"{self._url}/arrivals?since={since}")]

    def count(self) -> int:
        return int(ask(f"{self._url}/summary")["arrivals"])
