"""The one question the operator asks Discord over REST: GET /gateway/bot.

Every failure comes out as one of three errors that say what to do next. The token is in no message: aiohttp's
own errors, which carry the request's headers, are never passed on.
"""

import asyncio
import json
import math
import ssl
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from .core.world import GatewayInfo

PROJECT_URL = "https://discordgateway.dev"

REQUEST_TIMEOUT = 15.0
"""Seconds for the whole exchange; the answer is one small object."""

MAX_ANSWER_BYTES = 64 * 1024
"""The answer has about 200 bytes; an error page of a proxy in between has some thousand."""

DEFAULT_RETRY_AFTER = 60.0
"""Seconds to wait after a 429 that does not say how long."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds waited at most on a 429's word: asking once an hour is no nuisance, and a wrong answer heals."""


class DiscordApiError(Exception):
    """GET /gateway/bot brought no answer; the text is fit for users and names no secret."""


class TokenRefusedError(DiscordApiError):
    """401 or 403: someone has to act before it makes sense to ask again."""


class RateLimitedError(DiscordApiError):
    """429; ask again in `retry_after` seconds, not before."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"Discord's REST API asks to wait for {retry_after:.1f} s (429)")
        self.retry_after = retry_after


class DiscordUnavailableError(DiscordApiError):
    """Network trouble, a 5xx, or an answer that is none; worth trying again."""


class _SessionStartLimit(BaseModel):
    total: Annotated[int, Field(ge=0)]
    remaining: Annotated[int, Field(ge=0)]
    reset_after: Annotated[int, Field(ge=0)]
    """Milliseconds (Discord docs, Gateway: Session Start Limit Object)."""
    max_concurrency: Annotated[int, Field(ge=1)]


class _GatewayBot(BaseModel):
    url: Annotated[str, Field(pattern=r"^wss?://[^\s/]")]
    shards: Annotated[int, Field(ge=1)]
    session_start_limit: _SessionStartLimit


def bot_authorization(token: str) -> str:
    """The Authorization header for Discord itself, of a token with or without its "Bot " in front."""
    return f"Bot {token.strip().removeprefix('Bot ').strip()}"


class DiscordApi:
    """Discord's REST API, or the user's proxy of it, at `base_url` (with the version: `https://discord.com/api/v10`).

    `authorization` is the whole header: `bot_authorization(token)`, or a proxy's secret as it is. `ca_file` or
    `ca`, its PEM text, names one more CA to trust; OSError or ssl.SSLError if it cannot be read.
    """

    def __init__(
        self, *, base_url: str, authorization: str, ca_file: Path | None = None, ca: str | None = None
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/gateway/bot"
        self._headers = {
            "Authorization": authorization.strip(),
            # Discord docs, Reference: User Agent. Clients without a valid one may be blocked.
            "User-Agent": f"DiscordBot ({PROJECT_URL}, {version('discord-gateway-operator')})",
        }
        self._ssl: ssl.SSLContext | bool = True
        if ca_file is not None or ca is not None:
            self._ssl = ssl.create_default_context()
            self._ssl.load_verify_locations(cafile=ca_file, cadata=ca)

    async def gateway_bot(self) -> GatewayInfo:
        """Ask once; times are on the loop's clock. Raises TokenRefused, RateLimited or DiscordUnavailable...Error."""
        asked_at = asyncio.get_running_loop().time()
        try:
            status, headers, body = await self._get()
        except TimeoutError:
            raise DiscordUnavailableError(f"no answer from {self._url} within {REQUEST_TIMEOUT:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DiscordUnavailableError(f"cannot reach {self._url}: {_explain(error)}") from None
        if status != 200:  # noqa: PLR2004 -- HTTP's own name for it says less than the number
            raise _refusal(status, headers, body)
        return _info(body, asked_at=asked_at, answered_at=asyncio.get_running_loop().time())

    async def _get(self) -> tuple[int, dict[str, str], bytes]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        # A session for one request: they are minutes apart, and nothing is left to close.
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
            session.get(self._url, ssl=self._ssl, allow_redirects=False) as response,
        ):
            body = bytearray()
            while len(body) <= MAX_ANSWER_BYTES and (chunk := await response.content.readany()):
                body += chunk
            return response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(body)


def _info(body: bytes, *, asked_at: float, answered_at: float) -> GatewayInfo:
    if len(body) > MAX_ANSWER_BYTES:
        raise DiscordUnavailableError(f"the answer to GET /gateway/bot is longer than {MAX_ANSWER_BYTES} bytes")
    try:
        answer = _GatewayBot.model_validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise DiscordUnavailableError(
            f"the answer to GET /gateway/bot is not understood: {place}: {first['msg']}"
        ) from None
    limit = answer.session_start_limit
    return GatewayInfo(
        url=answer.url,
        recommended_shards=answer.shards,
        total=limit.total,
        remaining=limit.remaining,
        # Counted from the answer's arrival: rather a moment late than early.
        reset_at=answered_at + limit.reset_after / 1000,
        max_concurrency=limit.max_concurrency,
        read_at=asked_at,
    )


class DiscordOfNow:
    """Discord's API by the settings of now: `api` is replaced when they change."""

    def __init__(self, api: DiscordApi) -> None:
        self.api = api

    async def gateway_bot(self) -> GatewayInfo:
        """As `DiscordApi.gateway_bot`."""
        return await self.api.gateway_bot()


def _refusal(status: int, headers: dict[str, str], body: bytes) -> DiscordApiError:
    match status:
        case 401 | 403:
            return TokenRefusedError(
                f"Discord refused the token (GET /gateway/bot answered {status}). Check that it is this bot's current "
                "token from the Developer Portal, or, with a REST proxy, that its secret is right."
            )
        case 429:
            return RateLimitedError(_retry_after(headers, body))
        case 404:
            return DiscordUnavailableError("GET /gateway/bot answered 404: spec.discord.baseURL is no Discord API's")
        case _:
            return DiscordUnavailableError(f"GET /gateway/bot answered {status}")


def _retry_after(headers: dict[str, str], body: bytes) -> float:
    """Seconds: JSON's float before the header's whole number; Cloudflare's answer is HTML and has only the header."""
    for given in (_json_retry_after(body), headers.get("retry-after")):
        try:
            seconds = float(given)  # type: ignore[arg-type]  # what is no number is passed over
        except (TypeError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, LONGEST_RETRY_AFTER)
    return DEFAULT_RETRY_AFTER


def _json_retry_after(body: bytes) -> Any:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer.get("retry_after") if isinstance(answer, dict) else None


def _explain(error: Exception) -> str:
    """What went wrong on the way, without aiohttp's request, whose headers hold the token."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not trusted ({error.certificate_error})"
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or str(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case _:
            return type(error).__name__
