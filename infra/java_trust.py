"""Java trusts only the authorities in its own store. A network with an authority of its own names it in SSL_CERT_FILE,
for every program that sets PCloud up: this passes it on to Java."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

__all__ = ["trust_options"]


def trust_options(store: Path) -> list[str]:
    """The options with which to start Java; `store` is where the certificates are written for it. Empty without
    SSL_CERT_FILE."""
    if not (bundle := os.environ.get("SSL_CERT_FILE")):
        return []
    with warnings.catch_warnings(action="ignore"):  # warnings about old authorities' serial numbers, which we can't fix
        found = x509.load_pem_x509_certificates(Path(bundle).read_bytes())
    named = [PKCS12Certificate(one, str(number).encode()) for number, one in enumerate(found)]
    store.write_bytes(serialize_java_truststore(named, NoEncryption()))
    return [
        f"-Djavax.net.ssl.trustStore={store}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
        "-Djavax.net.ssl.trustStorePassword=",
    ]
