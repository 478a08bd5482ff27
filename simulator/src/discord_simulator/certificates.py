"""A certificate authority that lives as long as the simulator, and one server certificate from it."""

import ssl
from collections.abc import Iterable

import trustme


class Certificates:
    """`ca_pem` is what clients have to trust; `server` is for listeners of the given host names and addresses."""

    def __init__(self, names: Iterable[str]) -> None:
        authority = trustme.CA(organization_name="Discord simulator")
        self.ca_pem = authority.cert_pem.bytes()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self.server)
