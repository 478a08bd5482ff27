"""Where the bot is in voice, by the word of sessions that did not make those connections.

Pure. A voice connection dies with the gateway session that made it, so before the old sessions end the new ones have
to ask for it themselves (op 4). They learn of it as everybody in the guild does: from the guild's creation, and from
the bot's own voice states.
"""

import base64
import binascii

import msgspec

from shardpod.protocol import Event, voice_state

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _State(msgspec.Struct):
    user_id: str | None = None
    channel_id: str | None = None
    session_id: str | None = None
    self_mute: bool | None = False
    self_deaf: bool | None = False


class _StateUpdate(msgspec.Struct):
    d: _State


class _Guild(msgspec.Struct):
    voice_states: list[_State] | None = None


class _GuildCreate(msgspec.Struct):
    d: _Guild


class _User(msgspec.Struct):
    id: str


class _ReadyData(msgspec.Struct):
    user: _User


class _Ready(msgspec.Struct):
    d: _ReadyData


_state_update = msgspec.json.Decoder(_StateUpdate)
_guild_create = msgspec.json.Decoder(_GuildCreate)
_ready = msgspec.json.Decoder(_Ready)


class _Place(msgspec.Struct):
    """Where the bot is in one guild. `ours`: by the telling session. `asked_on`: the connection of our op 4."""

    channel_id: str
    self_mute: bool
    self_deaf: bool
    ours: bool
    asked_on: int | None = None


def user_id_of(token: str) -> str | None:
    """The bot's user id, which is the first part of its token; None where a token is made otherwise."""
    first = token.removeprefix("Bot ").partition(".")[0]
    try:
        user_id = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return user_id if user_id.isdecimal() else None


class OwnVoice:
    """The bot's own voice states, as the sessions of one worker tell them. READY knows its `user_id` better.

    A voice state names the gateway session that it hangs on; one that hangs on the telling session needs nothing done.
    """

    def __init__(self, user_id: str | None) -> None:
        self._places: dict[int, dict[str, _Place]] = {}
        self._user_id = user_id
        self._needle = (user_id or "").encode()

    def received(self, event: Event) -> None:
        """Take note of an event, of whatever kind."""
        try:
            match event.type:
                case "VOICE_STATE_UPDATE":
                    self._state_changed(event)
                case "GUILD_CREATE":
                    self._guild_created(event)
                case "GUILD_DELETE":
                    self._left(event)
                case "READY":
                    self._began(event)
                case _:
                    pass
        except _UNREADABLE:
            pass  # Discord may send what it likes: what was known of the guild stays

    def elsewhere(self, shard_id: int) -> int:
        """In how many guilds of a shard the bot is in voice by a session of somebody else's."""
        return sum(not place.ours for place in self._places.get(shard_id, {}).values())

    def to_rejoin(self, shard_id: int, connection: int) -> int:
        """In how many of those op 4 has still to be sent: what a former connection was given may not have arrived."""
        return sum(_is_to_rejoin(place, connection) for place in self._places.get(shard_id, {}).values())

    def rejoin_next(self, shard_id: int, connection: int) -> bytes | None:
        """The message that makes one of those ours, to be sent now on that connection; None when none is left."""
        for guild_id, place in self._places.get(shard_id, {}).items():
            if _is_to_rejoin(place, connection):
                place.asked_on = connection
                return voice_state(guild_id, place.channel_id, self_mute=place.self_mute, self_deaf=place.self_deaf)
        return None

    # What events say.

    def _began(self, event: Event) -> None:
        self._places.pop(event.shard_id, None)  # a new session, which is told of every guild anew
        self._user_id = _ready.decode(event.raw).d.user.id
        self._needle = self._user_id.encode()

    def _guild_created(self, event: Event) -> None:
        states = _guild_create.decode(event.raw).d.voice_states or ()
        own = next((state for state in states if state.user_id == self._user_id), None)
        self._left(event)
        if own is not None:
            self._is_in(event, own)

    def _state_changed(self, event: Event) -> None:
        if self._needle not in event.raw:
            return  # a busy guild has many of others
        state = _state_update.decode(event.raw).d
        if state.user_id == self._user_id:
            self._is_in(event, state)

    def _is_in(self, event: Event, state: _State) -> None:
        if event.guild_id is None or self._user_id is None:
            return
        if state.channel_id is None:
            self._left(event)
            return
        places = self._places.setdefault(event.shard_id, {})
        before = places.get(event.guild_id)
        places[event.guild_id] = _Place(
            channel_id=state.channel_id,
            self_mute=state.self_mute is True,
            self_deaf=state.self_deaf is True,
            ours=state.session_id == event.session_id,
            asked_on=None if before is None else before.asked_on,
        )

    def _left(self, event: Event) -> None:
        if event.guild_id is not None:
            self._places.get(event.shard_id, {}).pop(event.guild_id, None)


def _is_to_rejoin(place: _Place, connection: int) -> bool:
    return not place.ours and place.asked_on != connection
