"""Asks the pods of a running gateway, by their own HTTP, about their dead letters."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from .errors import UserError

PATH = "/v1/dead-letters"

ANSWER_TIMEOUT = 30.0
"""Seconds that a pod has to answer."""


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


class PodHttp:
    """The pods by name, and at which address each serves HTTP; None for one that is not connected."""

    def __init__(self, addresses: Mapping[str, str | None], secret: str) -> None:
        self._addresses = addresses
        self._headers = {"Authorization": f"Bearer {secret}"}

    async def dead_letters(self) -> list[DeadLetter]:
        """Those of all pods, in the order of the pods; raises UserError."""
        answers = await self._ask_each("GET", PATH, None, _Listed)
        return [letter for answer in answers for letter in answer.dead_letters]

    async def decide(self, what: str, body: Mapping[str, Any]) -> int:
        """`replay` or `discard`; how many letters that were. Raises UserError."""
        return sum(answer.done for answer in await self._ask_each("POST", f"{PATH}/{what}", body, _Done))

    async def _ask_each(
        self, method: str, path: str, body: Mapping[str, Any] | None, kind: type[_Answer]
    ) -> list[_Answer]:
        away = [name for name, address in self._addresses.items() if address is None]
        if away:
            raise UserError(f"{', '.join(away)}: not connected, so it cannot be asked; see `discord-gateway status`")
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
        answers = []
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            for name, address in self._addresses.items():
                try:
                    async with session.request(method, f"http://{address}{path}", json=body) as response:
                        text = await response.text()
                except (aiohttp.ClientError, TimeoutError) as error:
                    raise UserError(f"{name} cannot be asked: {str(error) or 'no answer in time'}") from None
                answers.append(_understood(name, response.status, text, kind))
        return answers


def _understood(name: str, status: int, text: str, kind: type[_Answer]) -> _Answer:
    if status != HTTPStatus.OK:
        raise UserError(f"{name} answered {status}: {text.strip()[:200]}")
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        raise UserError(f"{name} is of another version than this command") from None
