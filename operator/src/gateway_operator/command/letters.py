"""The dead letters of a gateway, asked for at its pods: on one machine by their HTTP, on a cluster by `exec`."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from .errors import UserError

LIST = "list"


class Pods(Protocol):
    """The pods of one gateway, or those of them that may have dead letters."""

    async def ask(self, what: str, keys: Sequence[str] | None) -> list[tuple[str, str]]:
        """Have each do `what` (`list`, `replay` or `discard`) with its letters of these keys; None: with all.

        Returns, in the order of the pods, the name of each and the JSON that it answered; a pod may be named more than
        once. Raises UserError.
        """
        ...


class DeadLetter(BaseModel):
    """One event as its pod lists it; `key` is the Idempotency-Key of its delivery, `died_at` is in Unix seconds."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    key: str
    shard_id: int
    type: str
    guild_id: str | None = None
    problem: str | None = None
    attempts: int = 0
    died_at: float | None = None
    bytes: int = 0


class _Listed(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    dead_letters: tuple[DeadLetter, ...]


class _Done(BaseModel):
    done: int


_Answer = TypeVar("_Answer", bound=BaseModel)


async def listed(pods: Pods) -> list[DeadLetter]:
    """Those of all pods, in the order of the pods; raises UserError."""
    answers = [_understood(pod, text, _Listed) for pod, text in await pods.ask(LIST, None)]
    return [letter for answer in answers for letter in answer.dead_letters]


async def decided(pods: Pods, what: str, keys: Sequence[str] | None) -> int:
    """`replay` or `discard` them; how many letters that were. Raises UserError."""
    return sum(_understood(pod, text, _Done).done for pod, text in await pods.ask(what, keys))


async def replayed(pods: Pods, keys: Sequence[str] | None) -> tuple[int, int]:
    """How many are delivered again; and, if none of all was, how many there are. Raises UserError."""
    done = await decided(pods, "replay", keys)
    return done, len(await listed(pods)) if keys is None and not done else 0


def _understood(pod: str, text: str, kind: type[_Answer]) -> _Answer:
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        raise UserError(f"{pod} is of another version than this command") from None
