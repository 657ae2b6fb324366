"""An upgrade of a database with people in it, while somebody else holds a table."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from tests.support.kernel import migrated
from tests.support.servers import PostgresUnderTest

ANNA = "11111111-1111-4111-8111-111111111111"
WAITS = '[{"code": "account.enabled", "state": "waiting"}]'


@pytest.fixture
def old_url(postgres: PostgresUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database whose status schema is of the first version, with somebody in it."""
    to_the_newest = command.upgrade

    def to_the_first(config: Config, revision: str, **values: Any) -> None:
        status = config.attributes["schema"] == "status"
        to_the_newest(config, "status_0001" if status else revision, **values)

    with postgres.database() as url:
        with monkeypatch.context() as patch:
            patch.setattr(command, "upgrade", to_the_first)
            migrated(url)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("SET search_path = status")
            conn.execute(
                "INSERT INTO person (organisation, person, generation, revision, display, sort_name, protection, core,"
                " words, recorded_at) VALUES ('alvsund', %s, 1, 1, 'Åsa Öst', 'ost asa', 'none', %s, '{}', now())",
                (ANNA, '{"name": {"given": "Åsa", "family": "Öst"}}'),
            )
            conn.execute(
                "INSERT INTO evaluation (organisation, person, service, target, generation, version, revision,"
                " policy_hash, as_of, recorded_at, blocked, steps, why)"
                " VALUES ('alvsund', %s, 'accounts', 'ldap', 3, 1, 1, '', now(), now(), false, %s, '[]')",
                (ANNA, WAITS),
            )
            conn.execute(
                "INSERT INTO evaluated (organisation, person, service, target, generation, version, revision, as_of,"
                " recorded_at, blocked) VALUES ('alvsund', %s, 'accounts', 'ldap', 3, 1, 1, now(), now(), false)",
                (ANNA,),
            )
            conn.execute(
                "INSERT INTO audit (organisation, id, actor, action, parameters, recorded_at)"
                " VALUES ('alvsund', %s, 'it', 'persons.listed', %s, now())",
                (ANNA, f'{{"persons": "{ANNA}"}}'),
            )
        yield url


def test_an_upgrade_waits_its_turn_lets_others_work_and_fills_what_is_new(old_url: str) -> None:
    failed: list[Exception] = []

    def upgrade() -> None:
        try:
            migrated(old_url)
        except Exception as error:  # noqa: BLE001 - it is looked at by the test
            failed.append(error)

    thread = threading.Thread(target=upgrade)
    with psycopg.connect(old_url) as busy, psycopg.connect(old_url, autocommit=True) as other:
        other.execute("SET statement_timeout = '10s'")
        busy.execute("SELECT count(*) FROM status.evaluation")
        thread.start()
        time.sleep(1)
        assert other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,)
        began = time.monotonic()
        assert other.execute("SELECT count(*) FROM status.evaluation").fetchone() == (1,)
        assert 0.5 < time.monotonic() - began < 4, "who reads waits for one try of the upgrade at most"
        time.sleep(1)
        assert thread.is_alive(), "the upgrade tries again"
    thread.join(timeout=30)
    assert not failed
    with psycopg.connect(old_url) as conn:
        conn.execute("SET search_path = status")
        for table in ("evaluation", "evaluated"):
            row = conn.execute(f"SELECT record_generation, trouble FROM {table}").fetchone()
            assert row == (3, "waiting"), table
        assert conn.execute("SELECT persons::text FROM audit").fetchone() == (f"{{{ANNA}}}",)
        assert conn.execute("SELECT sort_name FROM person").fetchone() == ("}st {sa",)
