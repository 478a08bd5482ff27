"""The cluster's certificate authority, and kubeconfigs that hold what they need."""

import base64
import datetime as dt
import ipaddress
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = dt.timedelta(days=365)
SKEW = dt.timedelta(hours=1)
"""Clocks that are set while a cluster runs do not make its certificates come from the future."""


class Pki:
    """Writes NAME.key and NAME.crt into a directory; the authority's own are `ca`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        if self.certificate("ca").exists():
            loaded = serialization.load_pem_private_key(self.key("ca").read_bytes(), None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            self._ca_key = loaded
        else:
            self._ca_key = self._new_key("ca")
            self._write_certificate("ca", _name("ca"), self._ca_key.public_key(), [_is_authority()])

    def key(self, name: str) -> Path:
        return self._directory / f"{name}.key"

    def certificate(self, name: str) -> Path:
        return self._directory / f"{name}.crt"

    def issue(self, name: str, user: str, group: str, hosts: tuple[str, ...] = ()) -> None:
        """A certificate for server and client; Kubernetes reads CN as the user and O as the group."""
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectAlternativeName([_host(host) for host in hosts or ("localhost",)]), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        ]
        self._write_certificate(name, _name(user, group), self._new_key(name).public_key(), extensions)

    def signing_pair(self, name: str) -> tuple[Path, Path]:
        """A key pair without a certificate: paths of private and public key."""
        public = self._directory / f"{name}.pub"
        key = self._new_key(name).public_key()
        public.write_bytes(
            key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return self.key(name), public

    def kubeconfig(self, name: str, server: str) -> str:
        """Everything inline, so that the file may be copied. JSON is YAML."""
        authority, certificate, key = (
            base64.b64encode(path.read_bytes()).decode()
            for path in (self.certificate("ca"), self.certificate(name), self.key(name))
        )
        cluster = {"server": server, "certificate-authority-data": authority}
        user = {"client-certificate-data": certificate, "client-key-data": key}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        return json.dumps(config, indent=1)

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        path = self.key(name)
        path.touch(mode=0o600)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return key

    def _write_certificate(
        self,
        name: str,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> None:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=_name("ca"),
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - SKEW,
            not_valid_after=now + VALID,
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        signed = builder.sign(self._ca_key, hashes.SHA256())
        self.certificate(name).write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _is_authority() -> tuple[x509.ExtensionType, bool]:
    return x509.BasicConstraints(ca=True, path_length=None), True


def _name(user: str, group: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(attributes)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
