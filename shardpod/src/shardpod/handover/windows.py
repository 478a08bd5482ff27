"""The windows of a handover, as plain values for the worker."""

import msgspec

from shardpod.window_lengths import WindowLengths


class Windows(WindowLengths, msgspec.Struct, frozen=True):
    """As the operator says; the defaults are the manifest's."""

    max_skew: float = 5.0
    fence_timeout: float = 2.0
