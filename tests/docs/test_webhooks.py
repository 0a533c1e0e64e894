"""docs/webhooks.md against the table of providers and the options of ``flask sources add``."""

import base64
import hmac
import re
import shlex

import click
import pytest

from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest.api.schemas.fields import SEVERITIES
from vigilry_ingest.cli.sources import sources_group
from vigilry_ingest.webhooks.delivery import Delivery, Unverified
from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import PROVIDER_NAMES, provider_of

pytestmark = pytest.mark.one_database

PAGE = (ROOT / "docs/webhooks.md").read_text()
GENERIC = {"hmac": {"header": "X-Signature"}, "token": {}, "basic": {}}
DECLARED = [name for name in PROVIDER_NAMES if name not in GENERIC]
ADD = sources_group.commands["add"]


def section_of(heading: str) -> str:
    """Return the text under a heading of any level, as one line."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE, re.M | re.S)
    assert found is not None, heading
    return " ".join(found[1].split())


def example_of(name: str) -> dict[str, str]:
    """Return the options in the example of a generic provider."""
    (command,) = re.findall(rf"(flask sources add demo --provider {name} .*?)\n```", PAGE, re.S)
    words = shlex.split(command.replace("\\\n", ""))[6:]
    return dict(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("name", DECLARED)
def test_every_provider_has_a_section_that_says_where_its_url_goes(name: str) -> None:
    provider = provider_of(name, {})
    section = section_of(provider.title)
    assert f"rovider `{name}`" in section
    assert provider.where in section
    assert "erified" in section
    assert "everity" in section or "rated as" in section


@pytest.mark.parametrize("name", GENERIC)
def test_every_generic_provider_has_an_example_that_can_be_added(name: str) -> None:
    assert section_of(name)
    options = {key.lstrip("-").replace("-", "_"): value for key, value in example_of(name).items()}
    for not_of_the_provider in ("name", "severity"):
        options.pop(not_of_the_provider, None)
    assert provider_of(name, _typed(options)).name == name


def test_the_examples_and_the_table_have_every_option_of_a_generic_provider() -> None:
    of_all = {
        "--provider",
        "--name",
        "--environment",
        "--secret-file",
        "--severity",
        "--as",
        "--json",
        "--server",
    }
    options = {each.opts[0] for each in ADD.params if isinstance(each, click.Option)} - of_all
    assert set(re.findall(r"^\| `(--[\w-]+)`", PAGE, re.M)) == options
    shown = {option for name in GENERIC for option in example_of(name)}
    assert options <= shown
    assert all(option in PAGE for option in of_all - {"--server"})


def test_the_example_of_hmac_verifies_what_the_page_says() -> None:
    provider = _hmac_of_the_page()
    key = b"a key of the provider"
    secret = base64.b64encode(key).decode()
    signature = base64.b64encode(hmac.digest(key, b"d-1.1000.{}", "sha512")).decode()
    headers = {"HTTP_X_SIGNATURE": f"v1={signature}", "HTTP_X_ID": "d-1", "HTTP_X_TIMESTAMP": "1000"}
    delivery = Delivery(headers, b"{}", "")
    provider.scheme.verify(delivery, [secret], 1119.0)
    with pytest.raises(Unverified, match="stale_timestamp"):
        provider.scheme.verify(delivery, [secret], 1121.0)
    with pytest.raises(Unverified, match="wrong_signature"):
        provider.scheme.verify(delivery._replace(body=b"[]"), [secret], 1000.0)


def test_the_page_names_every_command_and_reason() -> None:
    for command in sources_group.commands:
        assert re.search(rf"`(?:flask sources )?{command}\b", PAGE), command
    folder = ROOT / "vigilry_ingest/webhooks"
    sources = [*folder.rglob("*.py"), ROOT / "vigilry_ingest/web/endpoints/hooks.py"]
    reasons = {
        reason for each in sources for reason in re.findall(r'Unverified\("(\w+)"\)', each.read_text())
    }
    table = section_of("What a sender sees")
    assert len(reasons) > 5
    assert {reason for reason in reasons if f"`{reason}`" not in table} == set()
    operating = (ROOT / "docs/operating.md").read_text()
    assert {reason for reason in reasons if f"`{reason}`" not in operating} == set()


def test_the_severities_of_the_page_exist() -> None:
    assert set(re.findall(r"`([A-Z]{4,8})`", PAGE)) - {"NAME"} <= set(SEVERITIES)


def _hmac_of_the_page() -> Provider:
    options = example_of("hmac")
    return provider_of(
        "hmac",
        _typed(
            {
                key.lstrip("-").replace("-", "_"): value
                for key, value in options.items()
                if key not in ("--name", "--severity")
            }
        ),
    )


def _typed(options: dict[str, str]) -> dict[str, str | int]:
    """Return options with the types that the command gives them."""
    return {name: int(value) if name == "tolerance_s" else value for name, value in options.items()}
