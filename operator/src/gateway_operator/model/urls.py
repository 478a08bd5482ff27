"""URLs in a manifest. One that can never work is refused here, with the reason, and not when the first event comes.

A URL is never repeated: a password may stand in it.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from .kinds import SAID, Allowed

MAX_URL_CHARACTERS = 2048

_ENCODED = re.compile(r"[!-~]*")
"""Visible ASCII: all else travels percent-encoded (RFC 3986, section 2)."""

_LABEL = r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?")
"""RFC 1123 host names, and the underscores that container networks allow in them."""

_LARGEST_PORT = 65535

_ADDRESS = r"\[[0-9A-Fa-f]*:[-0-9A-Za-z:.%_~]*\]"
_PORT = r"(:(0*[1-9][0-9]{0,4})?)?"


def _url(*schemes: str, example: str, fragment: bool = False) -> tuple[Any, ...]:
    parts = "user name, password or #fragment" if not fragment else "user name or password"
    allowed = f"a {' or '.join(f'{scheme}://' for scheme in schemes)} URL with a host and without {parts}"
    words = f"{allowed}, such as {example}"

    def check(text: str) -> str:
        if reason := next(_reasons(text, schemes, fragment=fragment), None):
            raise PydanticCustomError(SAID, "{text}", {"text": f"must be {words}: {reason}", "allowed": words})
        return text

    told = Allowed(words, secret=True, pattern=_pattern(schemes, fragment=fragment))
    return Field(max_length=MAX_URL_CHARACTERS, strict=True), told, AfterValidator(check)


def _pattern(schemes: tuple[str, ...], *, fragment: bool) -> str:
    """What one expression can tell of the reasons below; a little is left to them, such as a port above 65535."""
    scheme = "|".join("".join(f"[{letter.upper()}{letter}]" for letter in scheme) for scheme in schemes)
    rest = "([/?#][!-~]*)?" if fragment else '([/?][!-"$-~]*)?'
    return rf"^({scheme})://({_LABEL}(\.{_LABEL})*\.?|{_ADDRESS}){_PORT}{rest}$"


def _reasons(text: str, schemes: tuple[str, ...], *, fragment: bool) -> Iterator[str]:
    """Why `text` cannot work, the reason that says most first."""
    if not _ENCODED.fullmatch(text):
        yield "it holds a space or another character that must be percent-encoded"
    try:
        parts = urlsplit(text)
    except ValueError:
        yield "its host is not complete"
        return
    if parts.scheme not in schemes or "://" not in text:
        yield f"it does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if "@" in parts.netloc:
        yield "it holds a user name or password, which would be seen in logs; a secret belongs into a Secret"
    if not parts.hostname:
        yield "it has no host"
    elif not _is_host(parts):
        yield "its host is neither a name (letters, digits, '-' and '.') nor an address"
    if not _is_port(parts):
        yield f"its port is not a number from 1 to {_LARGEST_PORT}"
    if not fragment and "#" in text:
        yield "it has a #fragment, which is never sent"


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if "[" not in parts.netloc:
        return _HOST_NAME.fullmatch(host) is not None
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


Link = Annotated[str, *_url("http", "https", example="https://twitch.tv/somebody", fragment=True)]
"""A URL for people."""
HttpUrl = Annotated[str, *_url("http", "https", example="http://bot:8080/")]
WebSocketUrl = Annotated[str, *_url("ws", "wss", example="wss://gateway.discord.gg/")]
