"""Java trusts whom its own store names. A network with an authority of its own names that in SSL_CERT_FILE, as for every other program
that sets PCloud up: here Java learns of it too."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

__all__ = ["trust_options"]


def trust_options(store: Path) -> list[str]:
    """What Java is to be started with; `store` is where the certificates are written for it. Nothing without SSL_CERT_FILE."""
    if not (bundle := os.environ.get("SSL_CERT_FILE")):
        return []
    with warnings.catch_warnings(action="ignore"):  # of old authorities' serial numbers, which are not ours to mend
        found = x509.load_pem_x509_certificates(Path(bundle).read_bytes())
    named = [PKCS12Certificate(one, str(number).encode()) for number, one in enumerate(found)]
    store.write_bytes(serialize_java_truststore(named, NoEncryption()))
    return [
        f"-Djavax.net.ssl.trustStore={store}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
        "-Djavax.net.ssl.trustStorePassword=",
    ]
