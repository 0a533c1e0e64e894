"""README.md against what there is."""

import json
import re

import pytest

from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import ROOT

pytestmark = pytest.mark.one_database

README = (ROOT / "README.md").read_text()


def test_the_first_event_of_the_readme_is_answered_as_it_says(sender: Sender) -> None:
    asked, shown = re.findall(r"```(?:sh)?\n(curl .*?)```\n\n```\n(HTTP/1.1 .*?)```", README, re.S)[0]
    (body,) = re.findall(r"-d '(.*)'", asked)
    answer = sender.post("events", body.encode())
    head, _, told = shown.partition("\n\n")
    status, *headers = head.splitlines()
    # The reason phrase is for people alone, and compared without its case.
    assert status.lower() == f"http/1.1 {answer.status_code} {answer.reason_phrase}".lower()
    assert [line.partition(": ")[0].lower() for line in headers] == list(answer.headers)
    assert json.loads(told).keys() == answer.json().keys()
    assert len(told.strip()) == int(dict(line.split(": ") for line in headers)["Content-Length"])
