"""Finds the secrets that a manifest only names, where there is no Kubernetes to mount them.

A secret is a directory with a file a key, the shape in which Kubernetes mounts a Secret. Errors name the places
looked at; they never show a value.
"""

from collections.abc import Mapping
from pathlib import Path

from gateway_operator.model import SecretRef

from .errors import UserError

TOKEN_VARIABLE = "DISCORD_TOKEN"  # noqa: S105 -- the name of the variable, not its value

_TOKEN_PREFIX = "Bot "  # noqa: S105 -- what a token is often pasted with


class SecretFiles:
    """The secrets of one `up`: `<directory>/<secret name>/<key>`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def value(self, ref: SecretRef | None, *, purpose: str) -> str | None:
        """A header's value without white space around it, or None when the manifest names none.

        Raises UserError if it is missing, or cannot stand in a header: then no request would ever get through.
        """
        if ref is None:
            return None
        value = self._found(ref, purpose=purpose)
        if not value.isprintable():
            raise UserError(
                f"the {purpose} in {self._path(ref)} must be one line of text: it holds a line break or another "
                "character that no header has"
            )
        return value

    def file(self, ref: SecretRef | None, *, purpose: str) -> Path | None:
        """The path of the file instead, whatever is in it. Raises UserError if it is missing."""
        if ref is None:
            return None
        self._found(ref, purpose=purpose)
        return self._path(ref)

    def _found(self, ref: SecretRef, *, purpose: str) -> str:
        path = self._path(ref)
        if value := _read(path):
            return value
        raise UserError(
            f"no {purpose}: the manifest names key {ref.key} of secret {ref.name}; looked for the file {path}"
        )

    def token(self, ref: SecretRef, *, token_file: Path | None, environment: Mapping[str, str]) -> str:
        """The bot's token, from the first place that has one: `token_file`, the environment, the secret's file."""
        if token_file is not None:
            found = _read(token_file)
            if not found:
                raise UserError(f"no bot token: {token_file}, given as --token-file, is missing or empty")
            return _checked_token(found, str(token_file))
        if found := environment.get(TOKEN_VARIABLE, "").strip():
            return _checked_token(found, TOKEN_VARIABLE)
        path = self._path(ref)
        if found := _read(path):
            return _checked_token(found, str(path))
        raise UserError(
            f"no bot token: the manifest names key {ref.key} of secret {ref.name}; looked for the option --token-file, "
            f"the environment variable {TOKEN_VARIABLE} and the file {path}"
        )

    def _path(self, ref: SecretRef) -> Path:
        return self._directory / ref.name / ref.key


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"cannot read {path}: {reason}") from None


def _checked_token(found: str, place: str) -> str:
    token = found.removeprefix(_TOKEN_PREFIX).strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(f"the bot token in {place} holds a space or a character that no token has")
    return token
