"""Policy is data: decision tables (GoRules JSON Decision Model) evaluated by zen-engine.

A decision never sees *now*: it gets an as-of state and returns entitlements and offsets in days. Content is stored by
hash; the last good one stands when a candidate is refused.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import zen

from services.kernel import telemetry
from services.kernel.database import Connection

log = telemetry.get_logger(__name__)

_CLOCK_CALL = re.compile(r"\b(?:now|today|d|date|time|duration)\s*\(")
_STRING = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_STRINGS = re.compile(rf"\[?\s*(?:{_STRING.pattern})(?:\s*,\s*(?:{_STRING.pattern}))*\s*\]?")
_NAME = re.compile(r"(?!\b(?:true|false|null)\b)\b[^\W\d]|[$#]")


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
class Row:
    """What can be said of a row before anybody is judged by it.

    `inputs`: the words that a column asks for, for columns that ask for plain words; `outputs`: what it gives, as far
    as that is the same for everybody.
    """

    id: str
    inputs: Mapping[str, frozenset[str]]
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """One decision's content, validated; `file` is where it was read."""

    name: str
    content: str
    hash: str
    file: str = field(default="database", compare=False)

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
        return cls(name=name, content=content, hash=digest[:16], file=file)

    @property
    def collects(self) -> bool:
        """Whether every row counts that matches; otherwise the first one decides."""
        return all(table.get("hitPolicy") == "collect" for table in self._tables())

    @property
    def outputs(self) -> frozenset[str]:
        """What its rows give."""
        return frozenset(column["field"] for table in self._tables() for column in table["outputs"])

    def rows(self) -> Iterator[Row]:
        """Yield its rows in their order."""
        for table in self._tables():
            inputs = {column["id"]: column["field"] for column in table["inputs"]}
            outputs = {column["id"]: column["field"] for column in table["outputs"]}
            for rule in table["rules"]:
                cells = {column: str(rule.get(column, "")) for column in (*inputs, *outputs)}
                words = {name: _words(cells[column]) for column, name in inputs.items()}
                given = {name: _constant(cells[column]) for column, name in outputs.items()}
                yield Row(
                    id=str(rule["_id"]),
                    inputs={name: found for name, found in words.items() if found},
                    outputs={name: found[0] for name, found in given.items() if found},
                )

    def _tables(self) -> list[Mapping[str, Any]]:
        nodes = json.loads(self.content)["nodes"]
        return [node["content"] for node in nodes if node["type"] == "decisionTableNode"]


def _words(expression: str) -> frozenset[str]:
    if not _STRINGS.fullmatch(expression.strip()):
        return frozenset()
    return frozenset(single or double for single, double in _STRING.findall(expression))


def _constant(expression: str) -> tuple[Any, ...]:
    """Return the one value of an expression that names no input; nothing for any other.

    One that cannot be evaluated is no value: its row would never match, which the engine does not tell.
    """
    if _NAME.search(_STRING.sub("''", expression)):
        return ()
    try:
        return (zen.evaluate_expression(expression, {}),)
    except RuntimeError:
        return (None,)


Check = Callable[[Table], None]
"""Refuses a table that its service could not use, with file, row and reason."""


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
    if table.get("hitPolicy") == "collect":
        return
    if not table["rules"] or any(table["rules"][-1].get(column) for column in inputs):
        raise PolicyRefused(file, "-", "the last row must match everybody: all its inputs are empty")


class Policies:
    """Tables by (organisation, name), evaluated through one engine with a loader (7 us a decision)."""

    def __init__(self, tables: Mapping[tuple[str, str], Table]) -> None:
        self._tables = dict(tables)
        self._contents = {table.hash: table.content for table in tables.values()}
        # the engine caches by key; the key is the hash, so a new table is seen at once
        self._engine = zen.ZenEngine({"loader": self._contents.__getitem__})

    def trying(self, organisation: str, table: Table) -> "Policies":
        """Return the same tables with one of an organisation's replaced."""
        return Policies({**self._tables, (organisation, table.name): table})

    @property
    def hashes(self) -> dict[tuple[str, str], str]:
        """Which content is active where."""
        return {key: table.hash for key, table in self._tables.items()}

    def decide(self, table: str, organisation: str, state: Mapping[str, object]) -> Decision:
        """Evaluate a table.

        Raises:
            PolicyRefused: No row matches; the tables end with a catch-all, so this is a fault of the table. Or one of
                its expressions cannot be evaluated.
            KeyError: Nothing is active.
        """
        active = self._tables[organisation, table]
        answer = self._evaluate(active, organisation, state)
        output = dict(answer["result"] or {})
        rows = _fired(answer["trace"])
        if not output or not rows:
            raise PolicyRefused(active.file, "-", "no row matches")
        return Decision(output=output, row=rows[0], table=table, hash=active.hash)

    def decide_all(self, table: str, organisation: str, state: Mapping[str, object]) -> list[Decision]:
        """Evaluate a table: every row that matches, in their order; with the hit policy `first` that one alone.

        None when nothing is active: an installation may do without such a table.

        Raises:
            PolicyRefused: One of its expressions cannot be evaluated.
        """
        active = self._tables.get((organisation, table))
        if active is None:
            return []
        answer = self._evaluate(active, organisation, state)
        result = answer["result"] if isinstance(answer["result"], list) else [answer["result"]]
        found = zip(result, _fired(answer["trace"]), strict=True)
        return [Decision(output=dict(output), row=row, table=table, hash=active.hash) for output, row in found]

    def _evaluate(self, table: Table, organisation: str, state: Mapping[str, object]) -> Mapping[str, Any]:
        try:
            return dict(self._engine.evaluate(table.hash, {**state, "organisation": organisation}, {"trace": True}))
        except RuntimeError as error:
            # the engine's words may quote what it was asked about
            raise PolicyRefused(table.file, "-", "an expression cannot be evaluated for somebody") from error


class PolicyBook:
    """The active tables of a service: the database says which; files in a folder are candidates.

    Empty until `start` has run. An activation by any process is seen at the next `refresh`. `checks`: what a table must
    hold besides being one, by its name.
    """

    def __init__(
        self, folder: Path, organisations: Sequence[str], checks: Mapping[str, Check] = MappingProxyType({})
    ) -> None:
        self._folder = folder
        self._organisations = tuple(organisations)
        self._checks = checks
        self._policies = Policies({})

    def candidate(self, name: str) -> Table:
        """Read a table of the folder.

        Raises:
            PolicyRefused: It is missing or cannot be used.
        """
        file = self._folder / f"{name}.json"
        try:
            content = file.read_text(encoding="utf-8")
        except OSError as error:
            raise PolicyRefused(file.name, "-", type(error).__name__) from error
        return self.parse(name, content, file=file.name)

    def parse(self, name: str, content: str, *, file: str) -> Table:
        """Read a table.

        Raises:
            PolicyRefused: It cannot be used.
        """
        table = Table.parse(name, content, file=file)
        if check := self._checks.get(name):
            check(table)
        return table

    @property
    def active(self) -> Policies:
        """The active tables as they are now; a later `refresh` does not change them."""
        return self._policies

    def offers(self, name: str) -> bool:
        """Tell whether the folder has a candidate of that name."""
        return (self._folder / f"{name}.json").is_file()

    async def start(self, conn: Connection, name: str) -> list[str]:
        """Activate the candidate for organisations that have no active table yet; elsewhere it waits for a person.

        A bad candidate is refused and the last good one stands.

        Returns:
            The organisations for which the table is new.

        Raises:
            PolicyRefused: The candidate is bad, and some organisation has no active table.
        """
        active = await _active(conn)
        new: list[str] = []
        try:
            candidate = self.candidate(name)
        except PolicyRefused as refused:
            log.exception("policy.refused", file=refused.file, row=refused.row, reason=refused.reason)
            if any((organisation, name) not in active for organisation in self._organisations):
                raise
        else:
            for organisation in self._organisations:
                known = active.get((organisation, name))
                if known is None:
                    await activate(conn, organisation, candidate, actor="urn:stafett:installation", reason="first")
                    new.append(organisation)
                elif known.hash != candidate.hash:
                    log.warning("policy.candidate_waits", table_name=name, active=known.hash, candidate=candidate.hash)
        await self.refresh(conn)
        return new

    async def refresh(self, conn: Connection) -> None:
        """Take over what has been activated meanwhile; one small query."""
        cursor = await conn.execute("SELECT organisation, decision, hash FROM policy_active")
        if {(row[0], row[1]): row[2] for row in await cursor.fetchall()} != self._policies.hashes:
            self._policies = Policies(await _active(conn))

    def decide(self, table: str, organisation: str, state: Mapping[str, object]) -> Decision:
        """Evaluate the organisation's active table; see `Policies.decide`."""
        return self._policies.decide(table, organisation, state)

    def decide_all(self, table: str, organisation: str, state: Mapping[str, object]) -> list[Decision]:
        """Evaluate the organisation's active table for all rows that match; see `Policies.decide_all`."""
        return self._policies.decide_all(table, organisation, state)

    def hash(self, table: str, organisation: str) -> str:
        """Return the hash of the organisation's active content.

        Raises:
            KeyError: Nothing is active.
        """
        return self._policies.hashes[organisation, table]


def _fired(trace: Mapping[str, Any]) -> list[str]:
    """Return the ids of the rows that fired in the decision table, from the engine's trace."""
    found = (node.get("traceData") for node in trace.values())
    rows = (data if isinstance(data, list) else [data] for data in found if data)
    fired = next((some for some in rows if all(isinstance(one, Mapping) and "rule" in one for one in some)), [])
    return [str(one["rule"].get("_id")) for one in fired]


async def _active(conn: Connection) -> dict[tuple[str, str], Table]:
    cursor = await conn.execute(
        "SELECT a.organisation, a.decision, c.content, c.hash FROM policy_active a JOIN policy_content c USING (hash)"
    )
    return {(row[0], row[1]): Table(name=row[1], content=row[2], hash=row[3]) for row in await cursor.fetchall()}


async def activate(conn: Connection, organisation: str, table: Table, *, actor: str, reason: str) -> None:
    """Make a table the organisation's active one and count it as a version.

    Older content stays, since results refer to it by hash; which one stood before is remembered.
    """
    await conn.execute(
        "INSERT INTO policy_content (hash, decision, content) VALUES (%s, %s, %s) ON CONFLICT (hash) DO NOTHING",
        (table.hash, table.name, table.content),
    )
    await conn.execute(
        "INSERT INTO policy_active (organisation, decision, hash, actor, reason) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (organisation, decision) DO UPDATE SET hash = excluded.hash, activated_at = now(),"
        " actor = excluded.actor, reason = excluded.reason, version = policy_active.version + 1,"
        " previous = CASE WHEN policy_active.hash = excluded.hash THEN policy_active.previous"
        " ELSE policy_active.hash END",
        (organisation, table.name, table.hash, actor, reason),
    )
    log.info("policy.activated", organisation=organisation, table_name=table.name, hash=table.hash, actor=actor)


@dataclass(frozen=True)
class Activation:
    """What is active: since when, by whom and why; the how-manieth table it is, and the hash of the one before."""

    hash: str
    since: datetime
    actor: str
    reason: str
    version: int
    previous: str | None


async def activation(conn: Connection, organisation: str, name: str) -> Activation | None:
    """Return what is active."""
    cursor = await conn.execute(
        "SELECT hash, activated_at, actor, reason, version, previous FROM policy_active"
        " WHERE organisation = %s AND decision = %s",
        (organisation, name),
    )
    row = await cursor.fetchone()
    return Activation(*row) if row else None


async def content(conn: Connection, digest: str) -> str | None:
    """Return what was activated under a hash, or None when it never was."""
    cursor = await conn.execute("SELECT content FROM policy_content WHERE hash = %s", (digest,))
    row = await cursor.fetchone()
    return str(row[0]) if row else None
