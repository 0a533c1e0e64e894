"""``python -m vigilry_ingest.api.specs FOLDER``: write openapi.json and asyncapi.json."""

import sys
from pathlib import Path

import msgspec

from vigilry_ingest.api.specs.asyncapi import asyncapi
from vigilry_ingest.api.specs.openapi import openapi

for name, document in (("openapi", openapi()), ("asyncapi", asyncapi())):
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    (Path(sys.argv[1]) / f"{name}.json").write_bytes(text + b"\n")
