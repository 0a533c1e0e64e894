"""What a sender wrote cannot garble or deceive a terminal."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.test_stored_events_command import HOSTILE
from vigilry_ingest.domain.escaping import escape_unprintable
from vigilry_ingest.observability.logging_config import ConsoleFormatter, JsonFormatter

UNPRINTABLE = {
    "an escape sequence": "\x1b[31mred",
    "C1": "\x9b2J",
    "DEL": "\x7f",
    "NUL": "\0",
    "a line break": "a\r\nb",
    "a line separator": "\u2028",
    "a bidirectional override": "\u202e",
    "a bidirectional isolate": "\u2066",
    "a zero-width space": "\u200b",
    "a tag": "\U000e0041",
    "a lone surrogate": "\ud800",
    "a no-break space": "\xa0",
}


@pytest.mark.parametrize("name", UNPRINTABLE)
def test_an_unprintable_character_is_escaped(name: str) -> None:
    text = UNPRINTABLE[name]
    escaped = escape_unprintable(text)
    assert escaped.isprintable()
    assert json.loads(f'"{escaped}"') == text


@given(st.text())
def test_escaped_json_is_printable_and_has_the_same_meaning(text: str) -> None:
    line = json.dumps({text: text}, ensure_ascii=False)
    escaped = escape_unprintable(line)
    assert escaped.isprintable()
    assert json.loads(escaped) == {text: text}


@given(st.text().filter(str.isprintable))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert escape_unprintable(text) == text


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), JsonFormatter()], ids=["console", "json"])
def test_a_log_line_has_no_unprintable_character_of_a_sender(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "dead: %s", "args": (HOSTILE,), "name": "x", "path": HOSTILE})
    assert formatter.format(record).isprintable()


def test_a_traceback_in_the_log_keeps_its_lines_and_no_other_control_character() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "failed", "exc_info": (type(error), error, error.__traceback__)}
        )
    lines = ConsoleFormatter().format(record).split("\n")
    assert len(lines) > 3
    assert all(line.isprintable() for line in lines)
