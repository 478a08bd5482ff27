"""What a gateway is to run with, read off its resource and the Secrets that this names."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_operator.discord_api import DiscordApi, bot_authorization
from gateway_operator.model import API_VERSION, KIND, DiscordGateway, ManifestError, SecretRef, parse_manifest

from .api import SECRET, KubeApi, Object


class NotUsableError(Exception):
    """The resource, or what it names, cannot be used; `reason` is for programs, the text for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the resource only names. `ca`: PEM of one more CA to trust on the way to Discord."""

    token: str = field(repr=False)
    sink_authorization: str | None = field(default=None, repr=False)
    rest_authorization: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)

    def digest(self, key: str) -> str:
        """Changes when pods started with others could not go on; tells nothing about them.

        The REST proxy's secret is not in it: pods do not have it.
        """
        parts = (self.token, self.sink_authorization or "", self.ca or "")
        return hmac.new(key.encode(), "\0".join(parts).encode(), hashlib.sha256).hexdigest()

    @property
    def token_digest(self) -> str:
        """Tells bots apart, and nothing about the token."""
        return hashlib.sha256(self.token.encode()).hexdigest()

    def all(self) -> tuple[str, ...]:
        """All that must never be seen in a log."""
        return tuple(filter(None, (self.token, self.sink_authorization, self.rest_authorization)))


@dataclass(frozen=True, slots=True)
class Settings:
    """`spec` is the resource's as it was read; `restart` the annotation that asks for one."""

    gateway: DiscordGateway
    spec: dict[str, Any]
    secrets: Secrets
    restart: str


def parse(resource: Object, spec: Mapping[str, Any]) -> DiscordGateway:
    """The gateway of this resource with this spec; raises NotUsableError."""
    metadata = {name: resource["metadata"][name] for name in ("name", "namespace")}
    try:
        return parse_manifest({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": dict(spec)})
    except ManifestError as error:
        raise NotUsableError("InvalidSpec", "; ".join(map(str, error.problems))) from None


async def read_secrets(api: KubeApi, gateway: DiscordGateway) -> Secrets:
    """From the gateway's namespace. Raises NotUsableError for what is missing, ApiError if it cannot be read."""
    spec = gateway.spec
    reader = _Reader(api, gateway.metadata.namespace or "")
    return Secrets(
        token=await reader.line(spec.token_secret_ref, "spec.tokenSecretRef"),
        sink_authorization=await reader.optional_line(
            spec.delivery.sink.http.authorization_secret_ref, "spec.delivery.sink.http.authorizationSecretRef"
        ),
        rest_authorization=await reader.optional_line(
            spec.discord.authorization_secret_ref, "spec.discord.authorizationSecretRef"
        ),
        ca=await reader.optional_text(spec.discord.ca_secret_ref, "spec.discord.caSecretRef"),
    )


def discord_api(settings: Settings) -> DiscordApi:
    """Discord's REST API as this gateway asks it. Raises NotUsableError."""
    secrets = settings.secrets
    try:
        return DiscordApi(
            base_url=settings.gateway.spec.discord.base_url,
            authorization=secrets.rest_authorization or bot_authorization(secrets.token),
            ca=secrets.ca,
        )
    except (OSError, ValueError, TypeError) as error:  # the latter two of an empty one, and of one that is not ASCII
        raise NotUsableError(
            "CANotUsable", f"spec.discord.caSecretRef names a CA certificate that cannot be read: {error}"
        ) from None


class _Reader:
    """Reads each Secret once."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._read: dict[str, Object | None] = {}

    async def optional_line(self, ref: SecretRef | None, where: str) -> str | None:
        return None if ref is None else await self.line(ref, where)

    async def optional_text(self, ref: SecretRef | None, where: str) -> str | None:
        return None if ref is None else await self._text(ref, where)

    async def line(self, ref: SecretRef, where: str) -> str:
        value = (await self._text(ref, where)).strip()
        if not value.isprintable() or not value:
            raise NotUsableError(
                "SecretNotUsable",
                f"{where}: key {ref.key} of Secret {ref.name} must be one line of text, and is empty or holds a line "
                "break or another character that no header has",
            )
        return value

    async def _text(self, ref: SecretRef, where: str) -> str:
        if ref.name not in self._read:
            self._read[ref.name] = await self._api.get(SECRET, self._namespace, ref.name)
        secret = self._read[ref.name]
        if secret is None:
            raise NotUsableError(
                "SecretMissing",
                f"{where}: there is no Secret {ref.name} in namespace {self._namespace}: make it with "
                f"`kubectl -n {self._namespace} create secret generic {ref.name} --from-literal={ref.key}=...`",
            )
        data = secret.get("data") or {}
        if ref.key not in data:
            has = f"it has {', '.join(sorted(data))}" if data else "it is empty"
            raise NotUsableError("SecretKeyMissing", f"{where}: Secret {ref.name} has no key {ref.key}; {has}")
        try:
            return base64.b64decode(data[ref.key]).decode()
        except ValueError:
            raise NotUsableError("SecretNotUsable", f"{where}: key {ref.key} of Secret {ref.name} is no text") from None
