"""Durations and quantities as Kubernetes manifests write them: `10s`, `1500ms`, `256Mi`, `1G`."""

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

# Kubernetes docs, "Resource Management": memory units; the suffixes below 1 and from Pi on have no use here.
_BYTES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}  # fmt: skip -- one line a family

DURATION = r"([0-9]{1,9})(ms|s|m|h)"
QUANTITY = r"([0-9]{1,15})(|k|M|G|T|Ki|Mi|Gi|Ti)"
"""How they are written; the resource definition holds texts against the same expressions."""

_DURATION = re.compile(DURATION)
_QUANTITY = re.compile(QUANTITY)


def seconds(text: object) -> float:
    """`1500ms` as 1.5. Raises ValueError for anything else than a whole number and its unit."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not a duration")
    return int(match[1]) * _SECONDS[match[2]]


def quantity(value: object) -> int:
    """`256Mi`, or a whole number, as bytes. Raises ValueError for anything else."""
    match = _QUANTITY.fullmatch(str(value)) if type(value) in (str, int) else None
    if match is None:
        raise ValueError("not a quantity")
    return int(match[1]) * _BYTES[match[2]]
