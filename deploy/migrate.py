"""Migrations as their own step: `python -m deploy.migrate`. Safe to run twice, beside itself and beside old services.

Creates a role and a schema per service, the shared schema `kernel`, and brings every schema to its newest revision.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from pydantic_settings import SettingsConfigDict
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from services.kernel.schema import SHARED, folders
from services.kernel.settings import SettingsWithSecrets

ROOT = Path(__file__).resolve().parent.parent
LOCK = 7_368_214


class MigrationSettings(SettingsWithSecrets):
    """`STAFETT_ADMIN_DATABASE_URL` may create roles; the passwords file is JSON {service: password}."""

    model_config = SettingsConfigDict(env_prefix="STAFETT_", extra="ignore")

    admin_database_url: str
    service_passwords_file: Path
    environment: str = "production"


def migrate(url: str, passwords: Mapping[str, str], *, offsets_allowed: bool) -> None:
    """Bring the database at `url` up to date for the services named in `passwords`.

    Raises:
        psycopg.Error: The database refused; what had been committed stands and the next run goes on.
    """
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        _roles_and_schemas(conn, passwords)
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
        with engine.connect() as connection:
            _upgrade(connection, "kernel", None, [SHARED])
            for service in passwords:
                _upgrade(connection, service, service, folders(service))
        _grants(conn, passwords)
        # a database that moves to production takes no offset along
        conn.execute(
            "UPDATE kernel.clock SET offsets_allowed = %(allowed)s,"
            " clock_offset = CASE WHEN %(allowed)s THEN clock_offset ELSE '0' END",
            {"allowed": offsets_allowed},
        )


def _roles_and_schemas(conn: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    conn.execute("CREATE SCHEMA IF NOT EXISTS kernel")
    for service, password in passwords.items():
        role = sql.Identifier(service)
        exists = conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (service,)).fetchone()
        verb = sql.SQL("ALTER" if exists else "CREATE")
        conn.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
        conn.execute(sql.SQL("ALTER ROLE {} SET search_path = {}").format(role, role))
        conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(role, role))
        conn.execute(sql.SQL("GRANT USAGE ON SCHEMA kernel TO {}").format(role))


def _upgrade(connection: Connection, schema: str, role: str | None, folders: list[Path]) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "deploy/migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", ":".join(str(folder) for folder in folders))
    config.attributes.update(connection=connection, schema=schema)
    if role is not None:
        connection.execute(text(f'SET ROLE "{role}"'))
    connection.execute(text(f'SET search_path = "{schema}"'))
    connection.commit()
    for attempt in Retrying(retry=retry_if_exception_type(OperationalError), stop=stop_after_attempt(5), reraise=True):
        with attempt:
            _once(connection, config)
    connection.execute(text("RESET ROLE"))
    connection.commit()


def _once(connection: Connection, config: Config) -> None:
    try:
        # old services work on meanwhile: rather try again than let them queue behind us
        connection.execute(text("SET lock_timeout = '3s'"))
        connection.commit()
        command.upgrade(config, "heads")
        connection.commit()
    except OperationalError:
        connection.rollback()
        raise


def _grants(conn: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    for service in passwords:
        conn.execute(
            sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kernel TO {}").format(
                sql.Identifier(service)
            )
        )


def main() -> int:
    """Migrate as the environment says; exit code 0 when every schema stands."""
    settings = MigrationSettings()
    passwords = json.loads(settings.service_passwords_file.read_text(encoding="utf-8"))
    migrate(settings.admin_database_url, passwords, offsets_allowed=settings.environment == "development")
    print("migrated: " + ", ".join(["kernel", *passwords]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
