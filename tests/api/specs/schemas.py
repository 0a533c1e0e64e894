"""Whether a value fits a schema of a description."""

from typing import Any

from openapi_schema_validator import OAS31Validator


def is_valid(document: dict[str, Any], schema: str, value: object) -> bool:
    """Return whether a value fits a schema of the document's components."""
    parts = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return bool(OAS31Validator(parts).is_valid(value))
