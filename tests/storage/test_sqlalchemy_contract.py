"""What bulk inserts rely on inside SQLAlchemy."""

import sqlite3

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError


@pytest.mark.parametrize(
    ("error", "wrapper"),
    [(sqlite3.OperationalError, OperationalError), (sqlite3.IntegrityError, IntegrityError)],
)
def test_a_drivers_error_is_wrapped_as_sqlalchemy_itself_wraps_it(
    error: type[sqlite3.Error], wrapper: type[DBAPIError]
) -> None:
    dialect = create_engine("sqlite://").dialect
    made = DBAPIError.instance(
        "COPY events", None, error("disk full"), sqlite3.Error, hide_parameters=True, dialect=dialect
    )
    assert type(made) is wrapper
    assert isinstance(made.orig, error)
