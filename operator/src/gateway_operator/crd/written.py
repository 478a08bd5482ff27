"""Numbers the way manifests write them: `30m`, `256Mi`."""

_DURATIONS = (("h", 3_600_000), ("m", 60_000), ("s", 1000))
_SIZES = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def duration_text(seconds: float) -> str:
    """In the largest unit of which it is a whole number: 1800 is `30m`, 0.1 is `100ms`, and nothing is `0s`."""
    milliseconds = round(seconds * 1000)
    if not milliseconds:
        return "0s"
    unit, size = next(((unit, size) for unit, size in _DURATIONS if milliseconds % size == 0), ("ms", 1))
    return f"{milliseconds // size}{unit}"


def size_text(size: int) -> str | int:
    """The same for bytes: 268435456 is `256Mi`. What is no whole number of any unit stays a number."""
    whole = ((unit, large) for unit, large in _SIZES if size and size % large == 0)
    return next((f"{size // large}{unit}" for unit, large in whole), size)
