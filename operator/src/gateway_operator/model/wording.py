"""Puts pydantic's errors into words: paths as users write them, no Python, and never a secret."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .gateway import DiscordGateway
from .kinds import NOT_ALLOWED, NOT_SUPPORTED_YET, SAID
from .problems import Problem, nearest

LONGEST_SHOWN = 60
"""Characters of a wrong value that are repeated in a message."""

Location = tuple[str | int, ...]


def in_words(error: ValidationError) -> tuple[Problem, ...]:
    """One problem a path, in the order of the resource's fields."""
    problems: dict[str, Problem] = {}
    for details in error.errors(include_url=False):
        if details["type"] == "too_short" and details["input"]:
            continue  # pydantic counts the right items only, and what is wrong with the others is told
        problem = _problem(details)
        problems.setdefault(problem.path, problem)
    return tuple(problems.values())


def describe(value: object, *, secret: bool = False) -> str:
    """What a user put there, as far as it may be repeated."""
    text = "this value"
    match value:
        case None:
            text = "empty"
        case bool():
            text = "true" if value else "false"
        case dict():
            text = "a map"
        case list():
            text = "a list"
        case str():
            text = "this text" if secret or len(value) > LONGEST_SHOWN else f'the text "{value}"'
        case int() | float() if not secret:
            text = str(value)
    return text


def _problem(details: ErrorDetails) -> Problem:
    place, context, value = details["loc"], details.get("ctx", {}), details["input"]
    message, allowed = "cannot be used", None
    match details["type"]:
        case "extra_forbidden":
            message, allowed = _unknown_field(place)
        case "missing":
            message = "is missing"
        case "too_long":
            message = f"has too many items: at most {context['max_length']} are allowed"
        case "too_short":
            message = f"has too few items: at least {context['min_length']} is needed"
        case "tuple_type":
            message, allowed = f"must be a list, not {describe(value, secret=True)}", "a list"
        case "model_type" | "dict_type":
            message, allowed = f"must be a map, not {describe(value, secret=True)}", "a map"
        case kind if kind == NOT_ALLOWED:
            allowed = context["allowed"]
            message = f"must be {allowed}, not {describe(value, secret=context.get('secret', False))}"
        case kind if kind == NOT_SUPPORTED_YET:
            message = "not supported yet: leave it out"
        case kind if kind == SAID:
            message, allowed = context["text"], context.get("allowed")
    return Problem(_path(place), message, allowed)


def _path(place: Location) -> str:
    """`spec.delivery.events.include[2]`; pydantic marks what is wrong with a map's key by a last part of `[key]`."""
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return path


def _unknown_field(place: Location) -> tuple[str, str]:
    name = str(place[-1])
    model = _model_at(place[:-1])
    known = sorted(_fields(model))
    home = _home(name, place)
    hint = ""
    if home is not None:
        hint = f"; it belongs under {home}"
    elif meant := nearest(name, known):
        hint = f"; did you mean {meant}?"
    return f"unknown field{hint}", f"one of {', '.join(known)}"


def _home(name: str, place: Location) -> str | None:
    """Where a field of this name belongs, if that is clear."""
    if len(place) == 1:
        return None  # outside of spec, a name such as status means something else than the field of that name in it
    homes = tuple(_homes(name, DiscordGateway))
    nearby = tuple(home for home in homes if home.startswith(_path(place[:-1])))
    candidates = nearby or homes
    return candidates[0] if len(candidates) == 1 else None


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_at(place: Location) -> type[BaseModel]:
    model: type[BaseModel] = DiscordGateway
    for part in place:
        if isinstance(part, str):
            model = next(_models_in(_fields(model)[part]))
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models an annotation is made of, such as `SecretRef | None` or `tuple[Activity, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _homes(name: str, model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Where in the resource a field of exactly this name is known."""
    for alias, annotation in _fields(model).items():
        if alias == name and path:
            yield path
        for inner in _models_in(annotation):
            yield from _homes(name, inner, f"{path}.{alias}" if path else alias)
