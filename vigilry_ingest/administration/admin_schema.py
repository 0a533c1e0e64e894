"""Base schema of the bodies and queries of the admin API."""

from collections.abc import Mapping
from typing import Any

import msgspec

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.json_object import MalformedJson
from vigilry_ingest.domain.json_object import JsonObject


class AdminSchema(EventSchema):
    """Base schema: rejects unknown members, and reports all errors at once."""

    def read_body(self, body: JsonObject) -> Mapping[str, Any]:
        """Return the values of a body.

        Raises MalformedJson, InvalidEvent.
        """
        try:
            members: dict[str, Any] = msgspec.json.decode(body.text)
        except msgspec.DecodeError as error:
            raise MalformedJson(f"{error}.") from error
        return self.read_members(members)

    def read_members(self, members: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of members.

        Raises InvalidEvent.
        """
        return self._load(members)
