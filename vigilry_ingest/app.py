"""The application factories: for senders and the commands, and for administrators."""

from flask import Flask

from vigilry_ingest.api_keys.admission import Admission
from vigilry_ingest.api_keys.lookup import KeyLookup
from vigilry_ingest.cli import register_commands
from vigilry_ingest.config.settings import Config, ConfigError
from vigilry_ingest.observability.tracing import make_tracing
from vigilry_ingest.services import Services, attach
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.publishing.publisher import Publisher
from vigilry_ingest.web import docs
from vigilry_ingest.web.admin.blueprint import register_admin
from vigilry_ingest.web.admin.errors import register_admin_errors
from vigilry_ingest.web.admin.parts import attach_parts
from vigilry_ingest.web.cors import allow_origins
from vigilry_ingest.web.endpoints import health, hooks, ingest_blueprint, metrics, sentry
from vigilry_ingest.web.error_handlers import register_errors
from vigilry_ingest.web.flask_app import Application
from vigilry_ingest.web.instrumentation import begin_span
from vigilry_ingest.web.request import request_class_for
from vigilry_ingest.webhooks.encryption import InvalidSecretsKey, SecretBox
from vigilry_ingest.webhooks.lookup import SourceLookup

# Database connections per process: a sync worker needs one for a lookup and one for a health check.
_CONNECTIONS = {"sync": 2, "gthread": 4, "gevent": 4}


def create_app(config: Config | None = None) -> Flask:
    """Make the WSGI application; connections are opened on first use.

    Raises ConfigError for an invalid setting.
    """
    config = Config.from_environ() if config is None else config
    services = _make_services(config)
    app = _new_app(services)
    if services.tracing is not None:
        app.before_request(begin_span)
    app.register_blueprint(ingest_blueprint())
    app.register_blueprint(hooks.blueprint)
    app.register_blueprint(sentry.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    if config.docs == "on":
        app.register_blueprint(docs.blueprint)
    if config.cors_origins:
        allow_origins(app, config.cors_origins.split(","))
    register_errors(app)
    register_commands(app)
    return app


def create_admin_app(config: Config | None = None) -> Flask:
    """Make the WSGI application of the admin API, which has none of the senders' paths.

    Raises ConfigError for an invalid setting.
    """
    config = Config.from_environ() if config is None else config
    services = _make_services(config)
    app = _new_app(services)
    attach_parts(app, services)
    register_admin(app)
    register_admin_errors(app)
    return app


def _new_app(services: Services) -> Application:
    app = Application(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's own provider has it
    # Respond with 404 to `//` in a path, because redirecting a POST would not help the sender.
    app.url_map.merge_slashes = False
    attach(app, services)
    app.request_class = request_class_for(services)
    return app


def _make_services(config: Config) -> Services:
    engine = make_engine(config.database_url, connections=_CONNECTIONS[config.worker_class])
    broker = Broker(config.redis_url, partitions=config.stream_partitions)
    secrets = _make_secret_box(config)
    ttl_s, stale_s = config.key_cache_ttl_s, config.key_cache_stale_s
    return Services(
        config=config,
        engine=engine,
        keys=KeyLookup(engine, ttl_s=ttl_s, stale_s=stale_s),
        secrets=secrets,
        sources=SourceLookup(engine, secrets, ttl_s=ttl_s, stale_s=stale_s),
        broker=broker,
        publisher=Publisher(
            broker,
            max_entries=config.stream_max_entries,
            max_bytes=config.stream_max_bytes,
            durability=config.durability,
            timeout_s=config.publish_timeout_ms / 1000,
            idempotency_ttl_s=config.idempotency_ttl_s,
        ),
        admission=Admission(invalid_per_s=config.invalid_requests_per_s),
        tracing=make_tracing() if config.tracing == "on" else None,
    )


def _make_secret_box(config: Config) -> SecretBox:
    try:
        return SecretBox.from_settings(config.secrets_keys, config.secrets_keys_file)
    except InvalidSecretsKey as error:
        raise ConfigError(str(error)) from None
