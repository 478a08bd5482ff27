"""Carries transfer requests between pods: POST /v1/transfer, msgpack both ways, with the secret that all pods share."""

from http import HTTPStatus

import aiohttp
import msgspec

from shardpod.worker.messages import Failed, Transfer, TransferAnswer, encode

TRANSFER_PATH = "/v1/transfer"
MAX_BODY_BYTES = 128 * 1024 * 1024
"""Of an answer: a part of a backlog is 1 MiB, but one event may be as large as Discord's largest payload."""
_TIMEOUT = aiohttp.ClientTimeout(total=10.0, sock_connect=2.0)

decode_request: msgspec.msgpack.Decoder[Transfer] = msgspec.msgpack.Decoder(Transfer)
_decode_answer: msgspec.msgpack.Decoder[TransferAnswer] = msgspec.msgpack.Decoder(TransferAnswer)


class Peers:
    """The other pods, by address."""

    def __init__(self, secret: str) -> None:
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, address: str, request: Transfer) -> TransferAnswer:
        """Ask the pod at `address`; `Failed` says why there is no answer."""
        if self._session is None:
            # One connection a shard at most is under way; no proxy of the environment, for this stays inside.
            self._session = aiohttp.ClientSession(trust_env=False, timeout=_TIMEOUT, headers=self._headers)
        try:
            # No redirect is followed: the secret is for this address only.
            url = f"http://{address}{TRANSFER_PATH}"
            async with self._session.post(url, data=encode(request), allow_redirects=False) as response:
                body = await response.read()
                if response.status != HTTPStatus.OK:
                    return Failed(f"the peer at {address} answered {response.status}")
                return _decode_answer.decode(body)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            return Failed(f"the peer at {address} cannot be asked: {str(error) or type(error).__name__}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
