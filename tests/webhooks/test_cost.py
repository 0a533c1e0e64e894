"""The cost of one delivery is bounded, whether it is verified or not."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from backports import zstd
from sqlalchemy import Engine

from tests.fixtures.cost import SIZE, Cost, assert_cheap, cost_of, filled, takes_less
from tests.fixtures.databases import dispose, migrate
from tests.fixtures.servers.valkey import Valkey
from tests.webhooks.deliveries import CASES
from tests.webhooks.fixtures import KEY
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.webhooks.delivery import Delivery, Draft, Unverified
from vigilry_ingest.webhooks.encryption import SecretBox
from vigilry_ingest.webhooks.providers import provider_of
from vigilry_ingest.webhooks.source_settings import SourceSettings
from vigilry_ingest.webhooks.sources import SourceRegistry

pytestmark = [pytest.mark.one_database, pytest.mark.alone]

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
BODIES = {
    "short names": (filled(b"{", b'"":0,', b'"a":1}'), JSON),
    "nested short names": (filled(b'{"event":{', b'"":0,', b'"a":1}}'), JSON),
    "an array of objects": (filled(b'{"alerts":[', b"{},", b"{}]}"), JSON),
    "an array of labels": (filled(b'{"groupKey":"g","alerts":[', b'{"labels":{}},', b"{}]}"), JSON),
    "a long string": (filled(b'{"type":"', b"a", b'"}'), JSON),
    "many escapes": (filled(b'{"type":"', rb"\u0001", b'"}'), JSON),
    "surrogates": (filled(b'{"type":"', rb"\ud83d", b'"}'), JSON),
    "many fields": (filled(b"", b"a=1&", b"b=2"), FORM),
    "few long fields": (filled(b"payload=", b"%41", b""), FORM),
    "no pairs": (filled(b"", b"&", b""), FORM),
    "deep": (b'{"a":' + b"[" * (SIZE // 2) + b"]" * (SIZE // 2 - 10) + b"}", JSON),
}

Send = Callable[..., Cost]


@pytest.fixture(scope="module")
def send(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    """Send a delivery within this process, and return what that cost."""
    url = f"sqlite:///{tmp_path_factory.mktemp('cost')}/vigilry.db"
    migrate(url)
    config = Config(
        database_url=url, redis_url=valkey.url, secrets_keys=KEY, max_body_bytes=SIZE + 1000,
        invalid_requests_per_s=0,
    )  # fmt: skip
    app = create_app(config)
    engine = make_engine(url)
    mint(engine, "cost", "production")
    sources = _sources(engine)

    def send(name: str, body: bytes, content_type: str, *, is_signed: bool) -> Cost:
        case = CASES[name]
        # Twilio signs the fields of a form.
        is_plain = case.provider == "twilio"
        coded = body if is_plain else zstd.compress(body)
        path = f"/hooks/{sources[name]}"
        draft = Draft(coded, f"http://localhost{path}", f"d{time.time_ns()}", time.time())
        provider = provider_of(case.provider, case.options)
        headers = {key: value.format(id=draft.delivery_id) for key, value in provider.example.headers.items()}
        with suppress(Unverified):
            # Of an invalid form there is no signature.
            headers |= provider.scheme.sign(draft, case.secret if is_signed else f"{case.secret}0")
        headers |= {"Content-Type": content_type, "Content-Encoding": "" if is_plain else "zstd"}

        def post() -> int:
            return app.test_client().post(path, data=coded, headers=headers).status_code

        assert post() != 503
        return cost_of(post, len(body))

    yield send
    dispose(engine)


def _sources(engine: Engine) -> dict[str, str]:
    registry = SourceRegistry(engine, SecretBox([KEY]))
    return {
        name: registry.add(
            SourceSettings("cost", "production", case.provider, options=case.options), case.secret
        ).id
        for name, case in CASES.items()
        if name != "ed25519"
    }


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", ["stripe", "github", "slack", "twilio", "linear", "grafana", "token"])
def test_a_delivery_costs_little_beyond_its_size_signed_or_not(send: Send, name: str, body: str) -> None:
    if name == "twilio" and BODIES[body][1] != FORM:
        pytest.skip("Of other bodies it signs a digest, which costs as much as any signature.")
    for is_signed in (True, False):
        cost = send(name, *BODIES[body], is_signed=is_signed)
        assert cost.status < 500
        assert cost.status != 202 or is_signed
        assert_cheap(cost, cost.status)


def test_a_generic_source_of_deep_pointers_costs_little() -> None:
    provider = provider_of("token", {"event": "/a/b/c", "delivery_id": "/a/b/d"})
    text = filled(b'{"a":{"b":{', b'"":0,', b'"c":"x"}}}')
    read = provider.read
    assert callable(read)
    assert read(Delivery({}, text, ""), text).event == "webhook"
    assert takes_less(lambda: read(Delivery({}, text, ""), text))
