"""nginx, as Debian packages it, on a rendering of deploy/nginx.conf."""

import os
import shutil
import ssl

import httpx

from tests.servers.gunicorn import ROOT
from tests.servers.process import Process
from tests.servers.tls import make_tls
from tests.servers.waiting import free_port, require

_CONF = ROOT / "deploy" / "nginx.conf"
_UPSTREAM = "server unix:/run/vigilry/web.sock;"


def nginx_binary() -> str:
    """Return the path of nginx; give up the test when it is not installed."""
    # Debian keeps it where an ordinary user's PATH does not look.
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx") or require("nginx is not installed")


class Nginx(Process):
    """Run nginx in front of `upstreams`, each "host:port" or "unix:/path", further parameters after it.

    What is changed of deploy/nginx.conf: the addresses, the certificate, the folder, the number of workers,
    and what `changes` says, text by text.
    """

    stop_timeout_s = 10.0

    def __init__(self, *upstreams: str, changes: dict[str, str] | None = None) -> None:
        super().__init__()
        self.tls = make_tls(self.folder)
        self._port, self._tls_port = free_port(), free_port()
        (self.folder / "nginx.conf").write_text(self._render(upstreams, changes or {}))
        self.command = [nginx_binary(), "-p", str(self.folder), "-c", "nginx.conf"]
        self.command += ["-e", "stderr", "-g", "daemon off;"]

    @property
    def url(self) -> str:
        """Return the address without TLS."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def tls_url(self) -> str:
        """Return the address behind TLS."""
        return f"https://127.0.0.1:{self._tls_port}"

    def client(self, **options: object) -> httpx.Client:
        """Return an HTTP client that trusts the certificate; the caller closes it."""
        trust = ssl.create_default_context(cafile=str(self.tls.ca))
        return httpx.Client(**{"base_url": self.tls_url, "verify": trust} | options)  # type: ignore[arg-type]  # httpx checks them

    def access_log(self) -> str:
        """Return the access log so far; nginx writes it with a delay of up to a second."""
        return (self.folder / "access.log").read_text()

    def wait_ready(self) -> None:
        """Wait until nginx answers, whatever its upstream does."""
        self.wait_for(
            lambda: httpx.get(self.url, trust_env=False).status_code,
            "nginx answers",
            ignoring=(httpx.TransportError,),
        )

    def _render(self, upstreams: tuple[str, ...], changes: dict[str, str]) -> str:
        text = _CONF.read_text()
        own = {
            # Its workers must reach the sockets of services that run as the tests' own user.
            "user www-data;": "user root;" if os.geteuid() == 0 else "",
            "worker_processes auto;": "worker_processes 2;",
            "/run/nginx.pid": f"{self.folder}/nginx.pid",
            "error_log /var/log/nginx/error.log": "error_log stderr",
            "access_log /var/log/nginx/access.log": f"access_log {self.folder}/access.log",
            "http {\n": f"http {{\n    client_body_temp_path {self.folder}/bodies;\n"
            f"    proxy_temp_path {self.folder}/answers;\n",
            _UPSTREAM: "\n        ".join(f"server {upstream};" for upstream in upstreams),
            "listen 127.0.0.1:80;": f"listen 127.0.0.1:{self._port};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self._tls_port} ssl http2;",
            "listen [::]:443 ssl http2;": "",
            "/etc/vigilry/tls/fullchain.pem": str(self.tls.cert),
            "/etc/vigilry/tls/privkey.pem": str(self.tls.key),
        }
        for old, new in (own | changes).items():
            assert old in text, f"deploy/nginx.conf has no {old!r} any more"
            text = text.replace(old, new)
        return text
