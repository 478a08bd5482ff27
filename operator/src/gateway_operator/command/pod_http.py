"""Asks the pods of a gateway on this machine, by their own HTTP, about their dead letters."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import aiohttp

from .errors import UserError
from .letters import LIST

PATH = "/v1/dead-letters"

ANSWER_TIMEOUT = 30.0
"""Seconds that a pod has to answer."""


class PodHttp:
    """The pods by name, and at which address each serves HTTP; None for one that is not connected."""

    def __init__(self, addresses: Mapping[str, str | None], secret: str) -> None:
        self._addresses = addresses
        self._headers = {"Authorization": f"Bearer {secret}"}

    async def ask(self, what: str, keys: Sequence[str] | None) -> list[tuple[str, str]]:
        """As letters.Pods has it."""
        away = [name for name, address in self._addresses.items() if address is None]
        if away:
            raise UserError(f"{', '.join(away)}: not connected, so it cannot be asked; see `discord-gateway status`")
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            return [
                (name, await _answer(session, name, f"http://{address}{PATH}", what, keys))
                for name, address in self._addresses.items()
            ]


async def _answer(session: aiohttp.ClientSession, name: str, url: str, what: str, keys: Sequence[str] | None) -> str:
    if what == LIST:
        request = session.get(url)
    else:
        request = session.post(f"{url}/{what}", json={"all": True} if keys is None else {"keys": list(keys)})
    try:
        async with request as response:
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UserError(f"{name} cannot be asked: {str(error) or 'no answer in time'}") from None
    if response.status != HTTPStatus.OK:
        raise UserError(f"{name} answered {response.status}: {text.strip()[:200]}")
    return text
