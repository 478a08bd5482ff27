"""From the text of a manifest to the model, or to everything that is wrong with it."""

from pydantic import ValidationError

from .gateway import API_VERSION, KIND, DiscordGateway
from .problems import ManifestError, Problem
from .rules import broken_rules
from .wording import describe, in_words
from .yaml_text import read_yaml


def load_manifest(text: str) -> DiscordGateway:
    """The one DiscordGateway in `text`. Raises ManifestError with everything that is wrong."""
    return parse_manifest(read_yaml(text))


def parse_manifest(data: object) -> DiscordGateway:
    """The same of a manifest that has been parsed already. Raises ManifestError."""
    _check_kind(data)
    try:
        gateway = DiscordGateway.model_validate(data)
    except ValidationError as error:
        raise ManifestError(in_words(error)) from None
    if problems := tuple(broken_rules(gateway.spec)):
        raise ManifestError(problems)
    return gateway


def _check_kind(data: object) -> None:
    if not isinstance(data, dict):
        raise ManifestError(
            [Problem("", f"a manifest is a map with apiVersion, kind, metadata and spec, {_not(data)}")]
        )
    problems = [
        Problem(
            name, f"must be {expected}, {_not(data[name])}" if name in data else f"is missing: {expected}", expected
        )
        for name, expected in (("apiVersion", API_VERSION), ("kind", KIND))
        if data.get(name) != expected
    ]
    # Another kind has other fields: complaining about each of them would hide the one thing that is wrong.
    if problems:
        raise ManifestError(problems)


def _not(value: object) -> str:
    return f"not {describe(value)}"
