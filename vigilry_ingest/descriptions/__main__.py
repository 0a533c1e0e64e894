"""``python -m vigilry_ingest.descriptions FOLDER``: write both descriptions as files."""

import sys
from pathlib import Path

import msgspec

from vigilry_ingest.descriptions.asyncapi import asyncapi
from vigilry_ingest.descriptions.openapi import openapi

for name, made in (("openapi", openapi()), ("asyncapi", asyncapi())):
    text = msgspec.json.format(msgspec.json.encode(made), indent=2)
    (Path(sys.argv[1]) / f"{name}.json").write_bytes(text + b"\n")
