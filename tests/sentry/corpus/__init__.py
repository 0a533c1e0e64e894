"""Requests of real SDKs, recorded by ``record.py``, with what has been taken out put back."""

import base64
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "requests.ndjson.xz"
KEY = "vig_test_" + "0" * 36
"""Stands for the API key in recorded requests."""

_ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


class Recorded(NamedTuple):
    """A request of an SDK; the body is decompressed, and sent as zlib in base64 if ``in_base64``."""

    sdk: str
    form: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int = 200
    in_base64: bool = False

    def with_key(self, key: str) -> "Recorded":
        """Return the request with a key of its own."""
        headers = {name: value.replace(KEY, key) for name, value in self.headers.items()}
        body = self.body.replace(KEY.encode(), key.encode())
        return self._replace(query=self.query.replace(KEY, key), headers=headers, body=body)

    @property
    def coded(self) -> bytes:
        """Return the body as it is sent."""
        if self.in_base64:
            return base64.b64encode(zlib.compress(self.body))
        encode = _ENCODERS.get(self.headers.get("Content-Encoding", ""))
        return encode(self.body) if encode else self.body


def items_of(envelope: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header line and the payload of each item of a valid envelope."""
    _, _, rest = envelope.partition(b"\n")
    while rest := rest.lstrip(b"\r\n"):
        line, _, rest = rest.partition(b"\n")
        length = json.loads(line).get("length")
        payload = rest.partition(b"\n")[0] if length is None else rest[:length]
        rest = rest[len(payload) :]
        yield line, payload


@cache
def recorded() -> tuple[Recorded, ...]:
    """Return all requests."""
    with lzma.open(FILE) as lines:
        return tuple(_read(json.loads(line)) for line in lines)


def write(requests: Iterable[Recorded]) -> None:
    """Replace the file."""
    lines = (json.dumps(_members(each), separators=(",", ":")) + "\n" for each in requests)
    FILE.write_bytes(lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME))


def _members(request: Recorded) -> dict[str, object]:
    try:
        body = {"text": request.body.decode()}
    except UnicodeDecodeError:
        body = {"base64": base64.b64encode(request.body).decode()}
    return request._asdict() | {"body": body}


def _read(members: dict[str, object]) -> Recorded:
    body = members["body"]
    assert isinstance(body, dict)
    content = body["text"].encode() if "text" in body else base64.b64decode(body["base64"])
    return Recorded(**members | {"body": content})  # type: ignore[arg-type]  # as written
