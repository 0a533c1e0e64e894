"""Request bodies of the admin API."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from vigilry_ingest.administration.admin_schema import AdminSchema
from vigilry_ingest.administration.request_fields import (
    Choice,
    Choices,
    Flag,
    Name,
    Names,
    Nested,
    Number,
    Origins,
    Severities,
    Text,
)
from vigilry_ingest.api.schemas.fields import coded
from vigilry_ingest.api_keys.format import ENVIRONMENTS
from vigilry_ingest.api_keys.restrictions import READ, SCOPES
from vigilry_ingest.domain.scrubbing.patterns import PATTERNS
from vigilry_ingest.domain.scrubbing.rules import InvalidRules, ScrubbingRules
from vigilry_ingest.webhooks.providers import PROVIDER_NAMES, provider_of

# One event per microsecond, the resolution of the broker's clock.
MAX_RATE = 1_000_000
MAX_BYTE_RATE = 10**12
MAX_DAYS = 36_500
MAX_GRACE_HOURS = 8760
_DEFAULT_GRACE_HOURS = 24
_MAX_SECRET_LENGTH = 4096
_MAX_OPTION_LENGTH = 500


class ScrubbingSchema(AdminSchema):
    """What is replaced in events; see ``ScrubbingRules``."""

    fields_ = Names(data_key="fields", load_default=list)
    patterns = Choices(tuple(PATTERNS), may_be_empty=True, load_default=list)

    @post_load
    def check_rules(self, data: Mapping[str, Any], **_options: Any) -> dict[str, Any]:
        """Return the rules as they are stored."""
        try:
            return ScrubbingRules.checked(data["fields_"], data["patterns"]).to_stored()
        except InvalidRules as error:
            raise ValidationError(coded("invalid", str(error))) from error


class ProjectSettingsSchema(AdminSchema):
    """Settings of a project; one that is absent stays as it is, except that limits are given together."""

    per_second = Number(1, MAX_RATE, allow_none=True)
    burst = Number(1, MAX_RATE, allow_none=True)
    bytes_per_second = Number(1, MAX_BYTE_RATE, allow_none=True)
    retention_days = Number(0, MAX_DAYS, allow_none=True)
    scrubbing = Nested(ScrubbingSchema, allow_none=True)
    archived = Flag()

    @validates_schema(skip_on_field_errors=False)
    def check_burst(self, data: Mapping[str, Any], **_options: Any) -> None:
        """Check that there is a rate for a burst."""
        if data.get("burst") is not None and data.get("per_second") is None:
            raise ValidationError({"burst": coded("invalid", "Needs per_second.")})


class ProjectChangeSchema(ProjectSettingsSchema):
    """Settings of a project, and its name."""

    name = Name()


class KeyPutSchema(AdminSchema):
    """An API key by the name in its URL; the time is that of a new one."""

    environment = Choice(ENVIRONMENTS, load_default=ENVIRONMENTS[0])
    expires_in_days = Number(1, MAX_DAYS, load_default=None, allow_none=True)
    scopes = Choices(SCOPES, load_default=list(SCOPES))
    origins = Origins(load_default=list)

    @validates_schema(skip_on_field_errors=False)
    def check_origins(self, data: Mapping[str, Any], **_options: Any) -> None:
        """Check that a key in a web page may not read."""
        if data.get("origins") and READ in data.get("scopes", ()):
            raise ValidationError({"origins": coded("invalid", "A key in a web page must not read.")})


class KeySchema(KeyPutSchema):
    """A new API key."""

    project = Name(required=True)
    name = Name(is_label=True, load_default=None, allow_none=True)


class KeyRotationSchema(AdminSchema):
    """The rotation of an API key."""

    grace_hours = Number(0, MAX_GRACE_HOURS, is_whole=False, load_default=_DEFAULT_GRACE_HOURS)
    expires_in_days = Number(1, MAX_DAYS, load_default=None, allow_none=True)


class OptionsSchema(AdminSchema):
    """What a source says about a provider that has no declaration; only those that are given."""

    header = Text(max_length=_MAX_OPTION_LENGTH)
    algorithm = Choice(("sha1", "sha256", "sha384", "sha512"))
    encoding = Choice(("hex", "base64"))
    prefix = Text(max_length=_MAX_OPTION_LENGTH)
    signed_text = Text(max_length=_MAX_OPTION_LENGTH)
    key_encoding = Choice(("text", "base64"))
    timestamp_header = Text(max_length=_MAX_OPTION_LENGTH)
    id_header = Text(max_length=_MAX_OPTION_LENGTH)
    tolerance_s = Number(1, 86_400)
    event = Text(max_length=_MAX_OPTION_LENGTH)
    delivery_id = Text(max_length=_MAX_OPTION_LENGTH)


class SourcePutSchema(AdminSchema):
    """A source by the name in its URL; a secret that is absent stays as it is."""

    provider = Choice(PROVIDER_NAMES, required=True)
    environment = Choice(ENVIRONMENTS, load_default=ENVIRONMENTS[0])
    options = Nested(OptionsSchema, load_default=dict)
    severities = Severities(load_default=dict)
    secret = Text(max_length=_MAX_SECRET_LENGTH)
    grace_hours = Number(0, MAX_GRACE_HOURS, is_whole=False, load_default=_DEFAULT_GRACE_HOURS)
    disabled = Flag()

    @validates_schema
    def check_options(self, data: Mapping[str, Any], **_options: Any) -> None:
        """Check that the options fit the provider."""
        try:
            provider_of(data["provider"], data["options"])
        except ValueError as error:
            raise ValidationError({"options": coded("invalid", str(error))}) from error


class SourceSchema(SourcePutSchema):
    """A new source."""

    class Meta:
        """The members of a PUT that a new source has not."""

        exclude = ("grace_hours", "disabled")

    project = Name(required=True, takes_id=True)
    name = Name(is_label=True, load_default=None, allow_none=True)
    secret = Text(max_length=_MAX_SECRET_LENGTH, required=True)


class SourceChangeSchema(AdminSchema):
    """A change of a source by its id."""

    disabled = Flag(required=True)


class SecretRotationSchema(AdminSchema):
    """A new secret of a source."""

    secret = Text(max_length=_MAX_SECRET_LENGTH, required=True)
    grace_hours = Number(0, MAX_GRACE_HOURS, is_whole=False, load_default=_DEFAULT_GRACE_HOURS)
