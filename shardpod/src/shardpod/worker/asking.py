"""How a worker asks another pod: by its supervisor, and never with an exception for an answer."""

from collections.abc import Awaitable, Callable

from .link import LinkClosedError
from .messages import AskPeer, Failed, Transfer, TransferAnswer

Ask = Callable[[AskPeer], Awaitable[TransferAnswer]]
"""Carries a request to a peer. Answers `Failed` when the peer cannot be reached."""


async def nobody(_request: object) -> TransferAnswer:
    """Answer for the peers of a worker that has none."""
    return Failed("this worker has no peers")


async def ask_instance(ask: Ask, instance: str, address: str | None, request: Transfer) -> TransferAnswer:
    """Ask an instance, whose `address` may not be known at the moment."""
    if address is None:
        return Failed(f"{instance} cannot be reached at the moment")
    try:
        return await ask(AskPeer(address, request))
    except (LinkClosedError, TimeoutError) as error:
        return Failed(str(error) or "no answer")
