"""A certificate for tests, made by openssl, for a server on 127.0.0.1."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.servers.waiting import require


class Tls(NamedTuple):
    """Name the files of a server's certificate, its key, and the authority that clients trust."""

    cert: Path
    key: Path
    ca: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the context with which a server presents the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def make_tls(folder: Path) -> Tls:
    """Make a certificate in `folder` for 127.0.0.1 and localhost that is its own authority."""
    openssl = shutil.which("openssl") or require("openssl is not installed")
    cert, key = folder / "cert.pem", folder / "key.pem"
    extensions = (
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
        # Python 3.13 refuses an authority that does not say that it may sign.
        "keyUsage=critical,digitalSignature,keyCertSign",
    )
    subprocess.run(
        [openssl, "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"]
        + [word for extension in extensions for word in ("-addext", extension)]
        + ["-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return Tls(cert, key, cert)
