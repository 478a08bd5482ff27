"""Reads YAML as `kubectl` would: one document, no key twice, mistakes with their line and column."""

from collections.abc import Hashable
from typing import Any

import yaml

from .problems import ManifestError, Problem

MAX_CHARACTERS = 1024 * 1024
"""etcd's bound for an object is near 1.5 MiB; no gateway's manifest comes close."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but a key that stands twice in a map is an error, not a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 -- PyYAML's signature
        seen = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> object:
    """The one document in `text`. Raises ManifestError."""
    if len(text) > MAX_CHARACTERS:
        raise ManifestError([Problem("", f"too long for a manifest: {len(text)} characters")])
    try:
        # _Loader is a SafeLoader: no tag makes it build anything but plain values.
        documents = [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        raise ManifestError([Problem("", _explain(error))]) from None
    except yaml.reader.ReaderError as error:
        raise ManifestError([Problem("", f"not YAML: character {error.position + 1} cannot stand there")]) from None
    except (ValueError, RecursionError) as error:
        # Scalars such as 2024-99-99 fail in Python's own constructors, without a mark.
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ManifestError([Problem("", f"not YAML: {reason}")]) from None
    match documents:
        case []:
            raise ManifestError([Problem("", "the manifest is empty")])
        case [document]:
            return document
        case _:
            raise ManifestError(
                [Problem("", f"there are {len(documents)} documents (separated by ---): leave one DiscordGateway")]
            )


def _explain(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return f"not YAML{place}: {error.problem or error.context}"
