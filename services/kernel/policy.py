"""Policy is data: decision tables (GoRules JSON Decision Model) evaluated by zen-engine.

A decision never sees *now*: it gets an as-of state and returns entitlements and offsets in days. Content is stored by
hash; the last good one stands when a candidate is refused.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zen

from services.kernel import telemetry
from services.kernel.database import Connection

log = telemetry.get_logger(__name__)

_CLOCK_CALL = re.compile(r"\b(?:now|today|d|date|time|duration)\s*\(")


class PolicyRefused(Exception):
    """A decision table cannot be used; names file, row and reason."""

    def __init__(self, file: str, row: str, reason: str) -> None:
        super().__init__(f"{file}: {row}: {reason}")
        self.file = file
        self.row = row
        self.reason = reason


@dataclass(frozen=True)
class Decision:
    """What a table said: outputs, which row fired, which table and content."""

    output: Mapping[str, Any]
    row: str
    table: str
    hash: str


@dataclass(frozen=True)
class Table:
    """One decision's content, validated."""

    name: str
    content: str
    hash: str

    @classmethod
    def parse(cls, name: str, content: str, *, file: str = "database") -> "Table":
        """Validate a decision table.

        Raises:
            PolicyRefused: Not JSON, no decision table, a row without id or output, an expression that does not
                compile, or one that calls a clock function.
        """
        try:
            document = json.loads(content)
            nodes = [node for node in document["nodes"] if node["type"] == "decisionTableNode"]
        except (ValueError, KeyError, TypeError) as error:
            raise PolicyRefused(file, "-", f"not a JSON Decision Model: {error}") from error
        if not nodes:
            raise PolicyRefused(file, "-", "no decision table")
        for node in nodes:
            _check_table(file, node["content"])
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        return cls(name=name, content=content, hash=digest[:16])


def _check_table(file: str, table: Mapping[str, Any]) -> None:
    inputs = {column["id"] for column in table["inputs"]}
    outputs = {column["id"]: column for column in table["outputs"]}
    for number, rule in enumerate(table["rules"], start=1):
        row = str(rule.get("_id") or f"row {number}")
        if not rule.get("_id"):
            raise PolicyRefused(file, row, "the row has no id")
        for column, expression in rule.items():
            if column.startswith("_") or expression == "":
                continue
            if column not in inputs and column not in outputs:
                raise PolicyRefused(file, row, f"unknown column {column}")
            if _CLOCK_CALL.search(str(expression)):
                raise PolicyRefused(file, row, "a decision never sees the clock; return offsets in days")
            check = zen.validate_unary_expression if column in inputs else zen.validate_expression
            # a list without brackets ('a', 'b') evaluates well but is refused by the engine's own check
            problem = check(str(expression)) and check(f"[{expression}]")
            if problem is not None:
                raise PolicyRefused(file, row, f"{expression}: {problem}")
        missing = [outputs[column]["field"] for column in outputs if not rule.get(column)]
        if missing:
            raise PolicyRefused(file, row, f"no value for {', '.join(missing)}")


class PolicyBook:
    """The active tables of a service, evaluated through one engine with a loader (7 us a decision)."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = dict(tables)
        self._engine = zen.ZenEngine({"loader": self._load})

    def _load(self, key: str) -> str:
        name, _, _ = key.partition("@")
        return self._tables[name].content

    async def refresh(self, conn: Connection) -> None:
        """Take over what has been activated meanwhile, by any process; one small query."""
        cursor = await conn.execute("SELECT decision, hash FROM policy_active")
        if any(self._tables.get(name) is None or self._tables[name].hash != h for name, h in await cursor.fetchall()):
            self._tables = await active(conn)

    def hash(self, table: str) -> str:
        """Return the hash of the active content."""
        return self._tables[table].hash

    def decide(self, table: str, organisation: str, state: Mapping[str, object]) -> Decision:
        """Evaluate a table.

        Raises:
            PolicyRefused: No row matches; the tables end with a catch-all, so this is a fault of the table.
        """
        active = self._tables[table]
        # the key carries the hash: the engine caches by key, and an activation must be seen at once
        answer = self._engine.evaluate(
            f"{table}@{active.hash}", {**state, "organisation": organisation}, {"trace": True}
        )
        output = dict(answer["result"])
        row = _fired(answer["trace"])
        if not output or row is None:
            raise PolicyRefused(table, "-", "no row matches")
        return Decision(output=output, row=row, table=table, hash=active.hash)


def _fired(trace: Mapping[str, Any]) -> str | None:
    """Return the id of the row that fired in the decision table, from the engine's trace."""
    for node in trace.values():
        data = node.get("traceData")
        if isinstance(data, Mapping) and "rule" in data:
            return str(data["rule"].get("_id"))
    return None


def read_candidates(folder: Path) -> dict[str, Table]:
    """Read `<table>.json` of a folder.

    Raises:
        PolicyRefused: One cannot be used; none is returned then.
    """
    return {
        file.stem: Table.parse(file.stem, file.read_text(encoding="utf-8"), file=file.name)
        for file in sorted(folder.glob("*.json"))
    }


async def active(conn: Connection) -> dict[str, Table]:
    """Return the active tables stored in the database."""
    cursor = await conn.execute(
        "SELECT a.decision, c.content, c.hash FROM policy_active a JOIN policy_content c USING (hash)"
    )
    return {row[0]: Table(name=row[0], content=row[1], hash=row[2]) for row in await cursor.fetchall()}


async def activate(conn: Connection, table: Table, *, actor: str, reason: str) -> None:
    """Make a table the active one; older content stays, since results refer to it by hash."""
    await conn.execute(
        "INSERT INTO policy_content (hash, decision, content) VALUES (%s, %s, %s) ON CONFLICT (hash) DO NOTHING",
        (table.hash, table.name, table.content),
    )
    await conn.execute(
        "INSERT INTO policy_active (decision, hash, actor, reason) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (decision) DO UPDATE SET hash = excluded.hash, activated_at = now(), actor = excluded.actor,"
        " reason = excluded.reason",
        (table.name, table.hash, actor, reason),
    )
    log.info("policy.activated", table_name=table.name, hash=table.hash, actor=actor)


async def settle(conn: Connection, candidates: Mapping[str, Table]) -> dict[str, Table]:
    """Return the active tables, activating candidates only where nothing has been active yet.

    A candidate that differs from what is active waits for a person: an activation can take access away.
    """
    tables = await active(conn)
    for name, candidate in candidates.items():
        if name not in tables:
            await activate(conn, candidate, actor="urn:stafett:installation", reason="first activation")
            tables[name] = candidate
        elif tables[name].hash != candidate.hash:
            log.warning("policy.candidate_waits", table_name=name, active=tables[name].hash, candidate=candidate.hash)
    return tables
