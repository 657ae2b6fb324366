"""An upgrade of a database with people in it, while somebody else holds a table."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg.types.json import Jsonb

from tests.support.kernel import migrated
from tests.support.servers import PostgresUnderTest

ANNA = "11111111-1111-4111-8111-111111111111"
WAITS = '[{"code": "account.enabled", "state": "waiting"}]'


UpTo = Callable[..., None]


@pytest.fixture
def up_to(monkeypatch: pytest.MonkeyPatch) -> UpTo:
    """Migrates a database, the schemas that are named only up to a revision."""
    to_the_newest = command.upgrade

    def migrate_up_to(url: str, **revisions: str) -> None:
        def stopping(config: Config, revision: str, **values: Any) -> None:
            to_the_newest(config, revisions.get(config.attributes["schema"], revision), **values)

        with monkeypatch.context() as patch:
            patch.setattr(command, "upgrade", stopping)
            migrated(url)

    return migrate_up_to


@pytest.fixture
def old_url(postgres: PostgresUnderTest, up_to: UpTo) -> Iterator[str]:
    """A database whose schemas are of old versions, with somebody in status."""
    with postgres.database() as url:
        up_to(url, status="status_0001", ingestion="ingestion_0001", accounts="kernel_0002")
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


@contextmanager
def upgrading(url: str) -> Iterator[threading.Thread]:
    """Upgrade to the newest beside the test; what fails there fails here."""
    failed: list[Exception] = []

    def upgrade() -> None:
        try:
            migrated(url)
        except Exception as error:  # noqa: BLE001 - it is raised again in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=upgrade)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(timeout=30)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def waits(conn: psycopg.Connection, query: str) -> None:
    """Wait until a statement like that waits for a lock."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            " AND query LIKE %s",
            (query,),
        ).fetchone()
        if found != (0,):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing like {query} waits")


AUDITED = (
    "INSERT INTO status.audit (organisation, id, actor, action, parameters, recorded_at)"
    " VALUES ('alvsund', gen_random_uuid(), 'it', 'person.read', '{}', now())"
)


@pytest.mark.parametrize("revision", ["status_0002", "status_0003"])
def test_while_an_index_is_built_others_write(old_url: str, up_to: UpTo, revision: str) -> None:
    up_to(old_url, status=revision)
    table = "audit" if revision == "status_0002" else "person"
    write = AUDITED if table == "audit" else "UPDATE status.person SET revision = revision + 1"
    with psycopg.connect(old_url) as busy, psycopg.connect(old_url, autocommit=True) as other:
        other.execute("SET statement_timeout = '2s'")
        busy.execute(AUDITED if table == "audit" else "SELECT count(*) FROM status.person")
        with upgrading(old_url) as upgrade:
            waits(other, "%INDEX CONCURRENTLY%")
            other.execute(write)
            assert upgrade.is_alive()
            busy.commit()


def test_what_an_interrupted_upgrade_left_is_done_again(old_url: str) -> None:
    indexes = {
        "ingestion.person_version_urgent": "ingestion.person_version (recorded_at)",
        "status.audit_listed": "status.audit (organisation)",
        "status.audit_persons": "status.audit (organisation)",
        "accounts.inbox_dead_asked": "accounts.inbox_dead (received_at)",
    }
    with psycopg.connect(old_url, autocommit=True) as conn:
        # as they are after the first half of an upgrade whose second half had to give up
        conn.execute("ALTER TABLE status.evaluation ADD COLUMN record_generation integer NOT NULL DEFAULT 1")
        for name, where in indexes.items():
            conn.execute(f"CREATE INDEX {name.partition('.')[2]} ON {where}".encode())
            conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", (name,))
    migrated(old_url)
    with psycopg.connect(old_url) as conn:
        assert conn.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid").fetchall() == []
        row = conn.execute("SELECT record_generation, trouble FROM status.evaluation").fetchone()
        assert row == (3, "waiting")


def test_many_rows_are_filled_in_steps_that_hold_nobody_up(old_url: str) -> None:
    with psycopg.connect(old_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO status.audit (organisation, id, actor, action, parameters, recorded_at) SELECT 'alvsund',"
            " gen_random_uuid(), 'it', 'persons.listed', jsonb_build_object('persons', %s::text), now()"
            " FROM generate_series(1, 15000)",
            (ANNA,),
        )
    migrated(old_url)
    with psycopg.connect(old_url) as conn:
        assert conn.execute("SELECT count(*) FROM status.audit WHERE persons = '{}'").fetchone() == (0,)
        told = conn.execute("SELECT count(DISTINCT xmin::text) FROM status.audit").fetchone()
        assert told is not None
        assert told[0] > 1, "not in one transaction"


def test_an_upgrade_waits_its_turn_lets_others_work_and_fills_what_is_new(old_url: str) -> None:
    with psycopg.connect(old_url) as busy, psycopg.connect(old_url, autocommit=True) as other:
        other.execute("SET statement_timeout = '10s'")
        busy.execute("SELECT count(*) FROM status.evaluation")
        with upgrading(old_url) as upgrade:
            time.sleep(1)
            assert other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,)
            began = time.monotonic()
            assert other.execute("SELECT count(*) FROM status.evaluation").fetchone() == (1,)
            assert 0.5 < time.monotonic() - began < 4, "who reads waits for one try of the upgrade at most"
            time.sleep(1)
            assert upgrade.is_alive(), "the upgrade tries again"
            busy.commit()
    with psycopg.connect(old_url) as conn:
        conn.execute("SET search_path = status")
        for table in ("evaluation", "evaluated"):
            row = conn.execute(f"SELECT record_generation, trouble FROM {table}").fetchone()
            assert row == (3, "waiting"), table
        assert conn.execute("SELECT persons::text FROM audit").fetchone() == (f"{{{ANNA}}}",)
        assert conn.execute("SELECT sort_name FROM person").fetchone() == ("}st {sa",)


EMPLOYED = {
    "name": {"given": "Åsa", "family": "Öst"},
    "employments": [
        {"validFrom": "2020-01-01", "assignments": [{"unit": "U1", "validFrom": "2020-01-01", "manager": ANNA}]},
        {"validFrom": "2020-01-01", "cancelled": True, "assignments": [{"unit": "U2", "validFrom": "2020-01-01"}]},
        {
            "validFrom": "2020-01-01",
            "validTo": "2021-12-31",
            "assignments": [{"unit": "U3", "validFrom": "2020-01-01", "validTo": "2020-06-30"}],
        },
    ],
}
PLACED = [("U1", ANNA, "infinity"), ("U3", None, "2021-12-31")]


def test_whose_staff_those_are_who_were_there_is_known_after_the_upgrade(old_url: str, up_to: UpTo) -> None:
    up_to(old_url, status="status_0006")
    with psycopg.connect(old_url, autocommit=True) as conn:
        conn.execute("SET ROLE status")
        conn.execute("SET search_path = status")
        conn.execute(
            "INSERT INTO person (organisation, person, generation, revision, display, sort_name, protection, core,"
            " words, recorded_at) SELECT 'alvsund', gen_random_uuid(), 1, 1, 'x', 'x', 'none', %s, '{}', now()"
            " FROM generate_series(1, 2500)",
            (Jsonb(EMPLOYED),),
        )
        # an earlier try came this far
        placements = "CREATE TABLE placement (organisation text, person uuid, ordinal bigint, unit text, manager uuid,"
        conn.execute(f"{placements} until date, PRIMARY KEY (organisation, person, ordinal))".encode())
        conn.execute("CREATE INDEX unit_parent ON unit (unit)")
    with psycopg.connect(old_url) as busy:
        (one,) = busy.execute("SELECT person FROM status.person WHERE display = 'x' LIMIT 1 FOR UPDATE").fetchall()
        with upgrading(old_url), psycopg.connect(old_url, autocommit=True) as other:
            waits(other, "%FOR NO KEY UPDATE%")
            gone = "UPDATE status.person SET core = jsonb_set(core, '{employments}', '[]') WHERE person = %s"
            busy.execute(gone, one)
            busy.commit()
    with psycopg.connect(old_url) as conn:
        conn.execute("SET search_path = status")
        listed = "SELECT unit, manager::text, until::text FROM placement WHERE person = %s ORDER BY unit"
        assert conn.execute(listed, one).fetchall() == [], "as the newest record says"
        found = conn.execute("SELECT unit, manager::text, until::text, count(*) FROM placement GROUP BY 1, 2, 3")
        assert sorted(found.fetchall()) == sorted((*row, 2_499) for row in PLACED)
        told = conn.execute("SELECT count(DISTINCT xmin::text) FROM placement").fetchone()
        assert told == (3,), "in steps that hold nobody up"
        conn.execute("UPDATE person SET core = %s WHERE person = %s", (Jsonb(EMPLOYED), *one))
        assert conn.execute(listed, one).fetchall() == PLACED, "an older version that writes keeps it right"
        conn.execute("DELETE FROM person WHERE person = %s", one)
        assert conn.execute(listed, one).fetchall() == []


def test_an_index_that_a_broken_off_upgrade_left_is_made_anew(old_url: str) -> None:
    with psycopg.connect(old_url, autocommit=True) as conn:
        conn.execute("SET search_path = status")
        conn.execute("CREATE INDEX audit_actor ON audit (id)")
        conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audit_actor'::regclass")
        conn.execute("UPDATE person SET generation = 4")
    migrated(old_url)
    with psycopg.connect(old_url) as conn:
        found = conn.execute(
            "SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid ="
            " 'status.audit_actor'::regclass"
        ).fetchone()
        assert found is not None
        assert found[0]
        assert "actor" in found[1].partition("(")[2]
        assert conn.execute("SELECT count FROM status.person_tally").fetchone() == (1,)
        assert conn.execute("SELECT count FROM status.evaluation_tally").fetchone() == (1,)
        assert conn.execute("SELECT since::text, count FROM status.unsettled_tally").fetchall() == [("-infinity", 1)]
        assert conn.execute("SELECT person::text FROM status.behind").fetchall() == [(ANNA,)], "as older versions ask"
