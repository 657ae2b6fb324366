"""Files at HR's door over a real PostgreSQL: planned, applied, set aside, held; the worker is driven step by step."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from contracts.codes import Lane
from deploy.local.issuer import ISSUER, Issuer
from services.ingestion.bootstrap import build
from services.ingestion.settings import Settings
from services.ingestion.store import measures
from services.kernel.work import Claim, Outcome, WorkKey
from tests.integration.ingestion.conftest import Site
from tests.support import hr
from tests.support.kernel import ROOT, database_url

HEADER = (
    "POSTTYP;PERSONID;NAMN;TILLTALSNAMN;PERSONNR;SEKRETESS;ANSTNR;ANSTFORM;FROM;TOM;SYSSGRAD;LON;ENHET;BEFATTNING;"
    "ANSVAR;VERKSAMHET;CHEF;FRANVARO;FRVDEL;FRVFROM;FRVTOM"
)
SCOPES = ("files:write", "events:write", "records:read")
ORGANISATIONS = """
[{key}]
name = "{key}"
mail_domain = "{key}.example"
targets.openldap = "dc={key},dc=example"
sources = ["{source}", "{source}/units"]
guard_limit = 2
guard_share = 0.1

[{key}.source."{source}"]
mapping = "invented"

[{key}.source."{source}/units"]
mapping = "units_invented"
"""


class Crashed(BaseException):
    """The process died here."""


class Desk:
    """HR's file desk: uploads, and lets the worker work. Every test has a source of its own."""

    def __init__(self, site: Site, key: str, source: str) -> None:
        self.site = site
        self.key = key
        self.source = source
        self.crash_at: str | None = None
        self.service = site.service

    async def told_of_held(self) -> float:
        """What operations are told of this source."""
        async with self.service.database.transaction() as conn:
            (metric,) = await measures.held(conn)
        return next(one.value for one in metric.samples if one.labels["source"] == self.source)

    def headers(self, *more: str) -> dict[str, str]:
        return self.site.bearer(self.key, *SCOPES, *more)

    async def send(self, content: bytes, kind: str = "delta", **query: str) -> httpx2.Response:
        return await self.site.client.post(
            "/v1/files",
            params={"source": self.source, "kind": kind, **query},
            content=content,
            headers={**self.headers(), "Content-Type": "text/csv"},
        )

    async def work(self, seconds: float = 30) -> Outcome:
        executor = next(one for one in self.service._executors if one.target == "files")
        key = WorkKey(self.key, "source", self.source, "files")
        now = datetime.now(UTC)  # noqa: TID251 - what a claim carries
        deadline = asyncio.get_running_loop().time() + seconds
        claim = Claim(key, 1, 1, 1, 1, Lane.BULK, False, False, now, now, deadline=deadline)
        outcome: Outcome = await executor._performer.perform(claim, None)
        return outcome

    async def status(self, file: str) -> dict[str, Any]:
        answer = await self.site.get(f"/v1/files/{file}", self.headers())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def told(self, content: bytes, kind: str = "delta", **query: str) -> dict[str, Any]:
        """Send a file, let it be worked on, and return how it stands."""
        answer = await self.send(content, kind, **query)
        assert answer.status_code == 202, answer.text
        await self.work()
        return await self.status(answer.json()["id"])

    async def persons(self, file: str, *scopes: str, **query: str) -> list[dict[str, Any]]:
        answer = await self.site.client.get(f"/v1/files/{file}/persons", params=query, headers=self.headers(*scopes))
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def do(self, file: str, verb: str, **body: Any) -> httpx2.Response:
        return await self.site.client.post(f"/v1/files/{file}/{verb}", json=body or None, headers=self.headers())

    def count(self, table: str) -> int:
        return int(self.site.rows(f"SELECT count(*) FROM {table} WHERE organisation = %s", self.key)[0][0])


def line(person: str, name: str = "Öberg, Åsa", **cells: str) -> str:
    row = {
        "POSTTYP": "P", "PERSONID": person, "NAMN": name, "SEKRETESS": "N", "ANSTNR": "1", "ANSTFORM": "T",
        "FROM": "2026-01-01", "TOM": "9999-12-31", "SYSSGRAD": "1", "ENHET": "1100", "BEFATTNING": "Kock", **cells,
    }  # fmt: skip
    return ";".join(row.get(name, "") for name in HEADER.split(";"))


def sheet(*lines: str) -> bytes:
    return "\r\n".join([HEADER, *lines, ""]).encode("cp1252")


def staff(*numbers: int) -> bytes:
    return sheet(*(line(f"p-{number}", f"Berg, Anna{number}") for number in numbers))


def _mappings(folder: Path, source: str) -> Path:
    """The mappings that ship; managers of units are people of this source."""
    copied = Path(copytree(ROOT / "deploy/mappings", folder / "mappings"))
    units = copied / "units_invented.toml"
    units.write_text(units.read_text("utf-8").replace(hr.SOURCE, source), "utf-8")
    return copied


@pytest.fixture
async def desk(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    key = f"o{abs(hash(request.node.name)) % 10**9}"
    source = f"https://hr.{key}.example/files"
    organisations = tmp_path / "organisations.toml"
    organisations.write_text(ORGANISATIONS.format(key=key, source=source))
    issuer = Issuer(tmp_path / "issuer")
    issuer.prepare()
    settings = Settings(
        environment="development",
        database_url=database_url(database, "ingestion"),
        broker_url="amqp://nobody@127.0.0.1:1/",
        organisations=organisations,
        jwks=str(issuer.jwks),
        issuer=ISSUER,
        dead_letter_key=SecretStr(Fernet.generate_key().decode()),
        mappings=_mappings(tmp_path, source),
        erasure_key=SecretStr("what ids of erased people are hashed with"),
    )
    service = build(settings)
    await service.database.open()
    transport = httpx2.ASGITransport(app=service.app, raise_app_exceptions=False)
    with psycopg.connect(database, autocommit=True, options="-c search_path=ingestion") as admin:
        async with httpx2.AsyncClient(transport=transport, base_url="http://ingestion") as client:
            site = Site(service, client, issuer, admin)
            site.set_business_time("2026-03-02T08:00:00+01:00")
            yield Desk(site, key, source)
    await service.database.close()


async def test_a_delta_file_becomes_facts_like_any_other(desk: Desk) -> None:
    found = await desk.told(sheet(line("p-1"), line("p-1", ANSTNR="2", ENHET="1200"), line("p-2", "Ek, Bo")))
    assert (found["state"], found["rows"], found["persons"]) == ("done", 3, 2)
    assert found["counts"] == {"applied": 2, "joiner": 2, "missing": 0, "rejectedRows": 0}
    facts = desk.site.rows("SELECT kind, source FROM fact WHERE organisation = %s", desk.key)
    assert facts == [("se.stafett.hr.person.recorded.v1", desk.source)] * 2
    (state,) = desk.site.rows(
        "SELECT p.state FROM person p JOIN source_identity i ON i.person = p.id WHERE i.external_id = 'p-1'"
        " AND i.organisation = %s",
        desk.key,
    )[0]
    assert [one["id"] for one in state["employments"]] == ["1", "2"]


async def test_a_plan_leaves_no_trace(desk: Desk) -> None:
    found = await desk.told(sheet(line("p-1", CHEF="p-9")), "full")
    assert found["state"] == "planned"
    (person,) = await desk.persons(found["id"])
    assert (person["kind"], person["reason"], person["state"], person["person"]) == ("joiner", "hire", "planned", None)
    assert [desk.count(table) for table in ("fact", "person", "source_identity", "person_version")] == [0, 0, 0, 0]


async def test_a_plan_is_applied_by_its_id(desk: Desk) -> None:
    found = await desk.told(staff(1, 2), "full")
    assert (await desk.do(found["id"], "apply")).status_code == 202
    await desk.work()
    done = await desk.status(found["id"])
    assert (done["state"], done["counts"]["applied"], desk.count("fact")) == ("done", 2, 2)
    assert (await desk.do(found["id"], "apply")).status_code == 202
    await desk.work()
    assert desk.count("fact") == 2


async def test_a_plan_says_which_fields_change_and_never_their_values(desk: Desk) -> None:
    await desk.told(sheet(line("p-1", LON="30000", PERSONNR="19850709-9805"), line("p-2")))
    found = await desk.told(sheet(line("p-1", LON="31000", BEFATTNING="Kokerska"), line("p-2")), plan="true")
    (person,) = await desk.persons(found["id"])
    assert person["fields"] == ["employments.assignments.title", "employments.terms.pay"]
    assert "31000" not in str(person)
    assert found["counts"] == {"planned": 1, "unchanged": 1, "mover": 1, "missing": 0, "rejectedRows": 0}


async def test_a_plan_that_the_world_has_overtaken_is_refused_and_names_who(desk: Desk) -> None:
    await desk.told(staff(1, 2))
    found = await desk.told(
        sheet(line("p-1", "Berg, Anna1", BEFATTNING="Chef"), line("p-2", "Berg, Anna2")), plan="true"
    )
    event = hr.event(
        {"externalId": "p-2", "name": {"given": "Eva", "family": "Ek"}}, source=desk.source,
        time="2026-03-02T08:01:00+01:00",
    )  # fmt: skip
    answer = await desk.site.client.post(
        "/v1/events", json=event, headers={**desk.headers(), "Content-Type": "application/cloudevents+json"}
    )
    assert answer.status_code == 202
    refused = await desk.do(found["id"], "apply")
    assert (refused.status_code, refused.json()["code"]) == (409, "file.overtaken")
    assert [error["field"] for error in refused.json()["errors"]] == [f"/persons/{answer.json()['person']}"]


async def test_the_same_file_twice_gives_no_facts_and_says_so(desk: Desk) -> None:
    first = await desk.told(staff(1, 2))
    again = await desk.send(staff(1, 2))
    assert (again.json()["duplicate"], again.json()["id"]) == (True, first["id"])
    anew = await desk.told(staff(1, 2), made="2026-03-02T07:59:59+01:00")
    assert anew["counts"] == {"unchanged": 2, "missing": 0, "rejectedRows": 0}
    assert desk.count("fact") == 2


async def test_a_file_that_comes_back_after_another_is_told_again(desk: Desk) -> None:
    for number, content in enumerate([staff(1), sheet(line("p-1", "Ek, Bo")), staff(1)]):
        await desk.told(content, made=f"2026-03-02T07:0{number}:00+01:00")
    assert desk.count("fact") == 3


async def test_what_somebody_else_told_meanwhile_is_not_taken_for_unchanged(desk: Desk) -> None:
    await desk.told(staff(1), made="2026-03-02T06:00:00+01:00")
    await desk.told(staff(1), made="2026-03-02T06:30:00+01:00")
    event = hr.event(
        {"externalId": "p-1", "name": {"given": "Eva", "family": "Ek"}}, source=desk.source,
        time="2026-03-02T07:00:00+01:00",
    )  # fmt: skip
    headers = {**desk.headers(), "Content-Type": "application/cloudevents+json"}
    assert (await desk.site.client.post("/v1/events", json=event, headers=headers)).status_code == 202
    found = await desk.told(staff(1), made="2026-03-02T07:30:00+01:00")
    assert found["counts"]["mover"] == 1


async def test_case_54_a_poison_row_is_set_aside_and_the_rest_goes_on(desk: Desk) -> None:
    content = sheet(line("p-1"), line("p-2", ANSTFORM="=1+1"), line("p-3", TOM="2025-01-01"), line("p-4", LON="x"))
    found = await desk.told(content, name="=cmd.csv")
    assert found["state"] == "done"
    assert {name: found["counts"][name] for name in ("applied", "rejected", "rejectedRows")} == {
        "applied": 1,
        "rejected": 3,
        "rejectedRows": 3,
    }
    answer = await desk.site.get(found["links"]["rejects"], desk.headers())
    rows = answer.content.decode("utf-8-sig").splitlines()
    assert rows[1].startswith("'=cmd.csv,3,ANSTFORM,'=1+1,value.unknown,")
    assert rows[2].startswith("'=cmd.csv,4,TOM,2025-01-01,dates.end_before_start,")
    assert rows[3].startswith("'=cmd.csv,5,LON,(withheld),number.unreadable,")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file.empty"),
        (HEADER.encode(), "file.no_rows"),
        (staff(1)[:-30], "file.truncated"),
        (sheet(line("p-1"))[:-2].replace(b"POSTTYP", b"TYP"), "file.header_missing"),
        (staff(1) + b"\x81\r\n", "file.encoding"),
        (sheet(line("")), "file.nobody"),
    ],
    ids=["empty", "no rows", "truncated", "header", "encoding", "nobody"],
)
async def test_case_52_a_file_that_cannot_be_trusted_is_refused_whole(desk: Desk, content: bytes, code: str) -> None:
    await desk.told(staff(1, 2, 3))
    found = await desk.told(content, "full", plan="false")
    assert (found["state"], found["code"]) == ("refused", code)
    assert desk.count("fact") == 3


async def test_a_baseline_file_takes_over_who_is_there_and_the_next_file_changes_nothing(desk: Desk) -> None:
    found = await desk.told(staff(1, 2), "full", plan="false", baseline="true")
    assert (found["baseline"], found["counts"]["applied"]) == (True, 2)
    versions = desk.site.rows(
        "SELECT baseline, core #>> '{employments,0,baseline}' FROM person_version WHERE organisation = %s", desk.key
    )
    assert versions == [(True, "true")] * 2
    nightly = await desk.told(staff(1, 2, 3), "full", plan="false", made="2026-03-02T08:01:00+01:00")
    assert (nightly["counts"]["unchanged"], nightly["counts"]["applied"]) == (2, 1)
    assert desk.site.rows("SELECT count(*) FROM person_version WHERE organisation = %s AND NOT baseline", desk.key) == [
        (1,)
    ]


async def test_a_person_whose_row_is_wrong_is_not_missing(desk: Desk) -> None:
    await desk.told(staff(1, 2))
    found = await desk.told(sheet(line("p-1", "Berg, Anna1"), line("p-2", ANSTFORM="?")), "full", plan="false")
    assert (found["counts"]["missing"], found["counts"]["rejected"]) == (0, 1)


async def test_protected_people_are_shown_to_who_may_see_them(desk: Desk) -> None:
    found = await desk.told(sheet(line("p-1", SEKRETESS="S"), line("p-2")), plan="true")
    assert [one["externalId"] for one in await desk.persons(found["id"])] == ["p-2"]
    may = await desk.persons(found["id"], "persons:read_protected")
    assert [one["externalId"] for one in may] == ["p-1", "p-2"]


async def test_two_files_of_a_source_are_taken_one_after_the_other(desk: Desk) -> None:
    first, second = await desk.send(staff(1)), await desk.send(sheet(line("p-1", "Ek, Bo")))
    outcome = await desk.work()
    states = [(await desk.status(one.json()["id"]))["state"] for one in (first, second)]
    assert (states, outcome.due_at, desk.count("fact")) == (["done", "done"], None, 2)


async def test_a_pass_without_time_makes_one_step_and_comes_back(desk: Desk, small_steps: None) -> None:
    file = (await desk.send(staff(*range(1, 8)), plan="true")).json()["id"]
    assert (await desk.work(0)).due_at is not None
    assert (await desk.status(file))["progress"]["planned"] == 3
    await desk.work()
    assert (await desk.status(file))["progress"]["planned"] == 7


async def test_passes_without_time_come_to_an_end(desk: Desk, small_steps: None) -> None:
    await desk.told(staff(*range(1, 12)))
    file = (await desk.send(staff(1, 2), "full")).json()["id"]
    passes = 0
    while (await desk.status(file))["state"] == "received" and passes < 10:
        passes += 1
        await desk.work(0)
    found = await desk.status(file)
    assert (found["state"], found["counts"]["missing"]) == ("planned", 9)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingestion.store.files.STEP", 3)


@pytest.fixture
def dies(desk: Desk) -> Callable[[str, int], None]:
    """Let the worker die at the n-th passing of a point; once."""
    performer: Any = next(one for one in desk.service._executors if one.target == "files")._performer

    def arm(point: str, times: int) -> None:
        left = [times]

        def crash(name: str) -> None:
            if name == point:
                left[0] -= 1
                if left[0] == 0:
                    raise Crashed

        performer._crash = crash

    return arm


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "point",
    ["files.after_plan", "files.after_missing", "files.after_judgement", "files.before_mark", "files.after_mark"],
)
async def test_who_dies_in_the_middle_is_followed_and_nothing_is_done_twice(
    desk: Desk, dies: Callable[[str, int], None], small_steps: None, point: str, times: int
) -> None:
    await desk.told(staff(*range(1, 3), *range(21, 23)))
    dies(point, times)
    file = (await desk.send(staff(*range(1, 9)), "full", plan="false")).json()["id"]
    passes = deaths = 0
    while (await desk.status(file))["state"] not in ("done", "refused") and passes < 4:
        passes += 1
        try:
            await desk.work()
        except Crashed:
            deaths += 1
    assert deaths == 1 or times == 2, "not every point is passed twice"
    found = await desk.status(file)
    assert found["counts"] == {
        "applied": 8, "unchanged": 2, "joiner": 6, "leaver": 2, "missing": 2, "rejectedRows": 0
    }  # fmt: skip
    assert desk.count("fact") == 4 + 8
    assert desk.count("person_version") == 4 + 8


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"source": "https://hr.other.example"}, 403, "source.forbidden"),
        ({"kind": "half"}, 422, "request.invalid"),
        ({"name": "a\0b"}, 422, "request.invalid"),
        ({"made": "2027-01-01T00:00:00Z"}, 422, "file.made_implausible"),
    ],
)
async def test_an_upload_that_cannot_be_is_refused(desk: Desk, query: dict[str, str], status: int, code: str) -> None:
    asked = {"source": desk.source, "kind": "delta", **query}
    headers = {**desk.headers(), "Content-Type": "text/csv"}
    answer = await desk.site.client.post("/v1/files", params=asked, content=staff(1), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_who_may_not_send_files_cannot(desk: Desk) -> None:
    headers = {**desk.site.bearer(desk.key, "events:write"), "Content-Type": "text/csv"}
    asked = {"source": desk.source, "kind": "delta"}
    answer = await desk.site.client.post("/v1/files", params=asked, content=staff(1), headers=headers)
    assert answer.status_code == 403
    wrong = {**desk.headers(), "Content-Type": "application/json"}
    answer = await desk.site.client.post("/v1/files", params=asked, content=staff(1), headers=wrong)
    assert answer.status_code == 415


async def test_a_file_has_a_largest_size(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingestion.api.files.FILE_LIMIT", 100)
    assert (await desk.send(staff(1))).status_code == 413


async def test_old_files_are_emptied_and_what_they_came_to_stays_known(desk: Desk) -> None:
    await desk.told(staff(*range(1, 11)))
    held = await desk.told(staff(1, 2, 3, 4), "full", plan="false")
    rejects = await desk.told(sheet(line("p-1"), line("p-90", ANSTFORM="Q")))
    planned = await desk.told(staff(*range(1, 10)), "full")
    assert planned["state"] == "planned"
    desk.site.rows(
        "UPDATE file_import SET uploaded_at = now() - interval '91 days' WHERE organisation = %s RETURNING 1", desk.key
    )
    await desk.service._purge.look()
    assert (await desk.status(rejects["id"]))["counts"] == rejects["counts"]
    assert (await desk.status(planned["id"]))["code"] == "file.expired"
    assert (await desk.do(planned["id"], "apply")).status_code == 409
    left = desk.site.rows(
        "SELECT i.id::text, (SELECT count(*) FROM file_part p WHERE p.file = i.id) > 0,"
        " (SELECT count(*) FROM file_person p WHERE p.file = i.id) > 0,"
        " (SELECT count(*) FROM file_reject p WHERE p.file = i.id) > 0 FROM file_import i WHERE organisation = %s",
        desk.key,
    )
    assert {one[0] for one in left if any(one[1:])} == {held["id"]}, "a person has yet to decide about who is missing"
    assert await desk.told_of_held() == held["counts"]["held"]
    assert (await desk.told(staff(1, 2, 3, 4), "full", plan="false"))["state"] == "done"
    for kind, parts in (("delta", 1), ("full", 0)):
        desk.site.rows("UPDATE file_import SET kind = %s WHERE id = %s RETURNING 1", kind, UUID(held["id"]))
        desk.site.rows("DELETE FROM purge_log WHERE organisation = %s RETURNING 1", desk.key)
        await desk.service._purge.look()
        left = desk.site.rows("SELECT count(*) FROM file_part WHERE file = %s", UUID(held["id"]))
        assert left == [(parts,)], "a newer full file takes the place of an older full one only"


async def test_baseline_is_not_lost_when_the_same_bytes_came_before(desk: Desk) -> None:
    first = await desk.told(staff(1, 2), "full")
    assert (first["state"], first["baseline"]) == ("planned", False)
    again = await desk.told(staff(1, 2), "full", baseline="true")
    assert (await desk.do(again["id"], "apply")).status_code == 202
    await desk.work()
    told = desk.site.rows("SELECT DISTINCT baseline FROM person_version WHERE organisation = %s", desk.key)
    assert told == [(True,)]


async def test_an_overtaken_plan_can_be_made_anew(desk: Desk) -> None:
    await desk.told(staff(1, 2), "full", plan="false")
    new = sheet(line("p-1", "Berg, Anna1", SYSSGRAD="0,5"), line("p-2", "Berg, Anna2"))
    plan = await desk.told(new, "full", plan="true")
    moved = hr.change("p-1", time="2026-03-02T08:01:00+01:00", extent=80)
    moved["data"]["employments"][0]["id"] = "1"
    moved["source"] = desk.source
    headers = {**desk.headers(), "Content-Type": "application/cloudevents+json"}
    answer = await desk.site.client.post("/v1/events", json=moved, headers=headers)
    assert answer.status_code == 202, answer.text
    first = await desk.do(plan["id"], "apply")
    assert (first.status_code, first.json()["detail"]) == (409, "Upload the file once more for a new plan.")
    again = await desk.send(new, "full", plan="true")
    await desk.work()
    assert (await desk.do(again.json()["id"], "apply")).status_code == 202


async def test_a_cell_of_somebody_protected_is_not_shown(desk: Desk) -> None:
    await desk.told(sheet(line("p-1", "Hemlig, Anna", SEKRETESS="F"), line("p-2")))
    wrong = line("p-1", "Hemlig, Anna", SEKRETESS="F", PERSONNR="1980", FROM="Storgatan 1")
    found = await desk.told(sheet(wrong, line("p-2")))
    answer = await desk.site.client.get(f"/v1/files/{found['id']}/rejected", headers=desk.headers())
    assert "Storgatan" not in answer.text
    persons = await desk.persons(found["id"])
    assert persons == []


async def test_files_keep_nothing_of_who_is_erased_and_a_file_that_goes_on_naming_them_tells_nothing(
    desk: Desk,
) -> None:
    gone = line("q-77", "Gammelin, Rut", FROM="2023-01-01", TOM="2025-01-31", PERSONNR="19850709-9805")
    first = await desk.told(sheet(gone, line("p-1")), made="2026-03-02T06:00:00+01:00")
    (person,) = desk.site.rows("SELECT person FROM source_identity WHERE external_id = 'q-77'")[0]
    desk.site.rows("UPDATE outbox SET published_at = now() RETURNING 1")
    path = f"/v1/persons/{person}/erasure"
    plan = await desk.send(sheet(gone), plan="true", made="2026-03-02T06:10:00+01:00")
    headers = desk.headers("erasure:write")
    for _ in ("not read yet", "planned"):
        refused = await desk.site.client.post(path, json={"reason": "plan"}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "erasure.in_file")
        await desk.work()
    desk.site.rows("UPDATE file_import SET state = 'refused' WHERE id::text = %s RETURNING 1", plan.json()["id"])
    done = await desk.site.client.post(path, json={"reason": "plan"}, headers=headers)
    assert done.status_code == 200, done.text
    tables = ("fact", "file_part", "file_person", "file_record", "file_reject", "person", "person_version")
    for table in tables:
        found = desk.site.rows(f"SELECT 1 FROM {table} t WHERE t::text ~* 'q-77|gammelin|198507099805'")
        assert not found, table
    assert (await desk.status(first["id"]))["counts"]["applied"] == 2
    again = await desk.told(sheet(gone, line("p-1")), "full", plan="false", made="2026-03-02T08:01:00+01:00")
    assert again["counts"] == {"unchanged": 2, "missing": 0, "rejectedRows": 0}
    assert not desk.site.rows("SELECT 1 FROM file_record WHERE external_id = 'q-77'")
    assert not desk.site.rows("SELECT 1 FROM source_identity WHERE external_id = 'q-77'")
