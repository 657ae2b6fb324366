"""What operations and IT do: release a hold, change a policy, take dead letters in again, ask why; by `stafett`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.settings import ROOT
from tests.e2e.portal.places import HEADER, line
from tests.support import hr
from tests.support.house import House, accounts_of, at, running_house, soon, wait_until
from tests.support.story import TODAY

LIMIT = 3
POLICY = ROOT / "deploy/policy/accounts.json"
PEOPLE = 150


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(guard_limit=LIMIT) as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1")])
        house.settled()
        yield house


def hired(number: str, **fields: Any) -> dict[str, Any]:
    data = hr.person(number, hr.employment(employeeNumber=number, **{"start": soon(-100), **fields}))
    return hr.event(data, time="2026-03-01T08:00:00+01:00")


def ended(number: str, reason: str = "resignation", end: str = soon(-1)) -> dict[str, Any]:
    return hr.change(number, time="2026-03-02T07:00:00+01:00", validTo=end, endReason=reason)


def disabled(house: House, prefix: str) -> set[str]:
    return {number for number, entry in house.directory().items() if number.startswith(prefix) and entry.disabled}


def test_too_many_sudden_leavers_are_held_and_released_by_a_person(house: House) -> None:
    people = [f"h{n}" for n in range(6)]
    house.post([hired(number) for number in people])
    house.settled()
    house.post([ended(number) for number in people])

    def holds() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(house.stafett("holds", "--json"))["items"]
        return found

    wait_until(lambda: len(holds()) == len(people) - LIMIT, seconds=30, why=holds)
    assert len(disabled(house, "h")) == LIMIT

    # a dismissal has a budget of its own and is not delayed by the holds
    house.post([hired("hx")])
    wait_until(lambda: "hx" in house.directory(), seconds=20)
    house.post([ended("hx", "dismissal", TODAY)])
    wait_until(lambda: "hx" in disabled(house, "h"), seconds=10)

    first = holds()[0]["hold"]
    house.stafett("release", first, "--reason", "kontrollerat med HR")
    wait_until(lambda: len(holds()) == 2, seconds=20, why=holds)
    assert len(disabled(house, "h")) == LIMIT + 2

    # a newer word from HR without the removal lapses the hold
    kept = next(number for number in people if number not in disabled(house, "h"))
    house.post([hr.change(kept, time="2026-03-02T08:00:00+01:00", validTo=None, endReason=None)])
    wait_until(lambda: len(holds()) == 1, seconds=20, why=holds)

    # a refusal stands, also when all others are released
    house.stafett("refuse", holds()[0]["hold"], "--reason", "fel i HR")
    wait_until(lambda: holds()[0]["problem"]["code"] == "guard.refused", seconds=20, why=holds)
    house.stafett("release", "--all", "--yes", "--reason", "kontrollerat med HR")
    house.settled()
    assert len(disabled(house, "h")) == len(people) + 1 - 2, "one was kept by HR, one was refused"
    assert kept not in disabled(house, "h")


def test_ends_stated_a_week_ahead_are_not_held(house: House) -> None:
    people = [f"s{n}" for n in range(LIMIT + 3)]
    house.post([hired(number, form="seasonal", end=soon(20)) for number in people])
    house.settled()
    house.set_business_time(at(soon(21), "00:10"))
    wait_until(lambda: disabled(house, "s") == set(people), seconds=30)
    assert "s" not in {one["person"][:1] for one in json.loads(house.stafett("holds", "--json"))["items"]}
    house.set_business_time(at(soon(22)))
    house.settled()


def test_a_policy_is_planned_held_confirmed_and_seen_in_the_directory(house: House, tmp_path: Path) -> None:
    house.set_business_time(at(soon(22)))
    start = soon(22 + 18)
    house.post([hired(f"p{n}", start=start) for n in range(5)])
    house.settled()
    assert not any(number.startswith("p") for number in house.directory()), "the lead is 14 days"
    wider = changed(tmp_path / "wider.json", row="employed", lead_days="20")
    plan = json.loads(house.stafett("policy", "plan", str(wider), "--json"))
    assert (plan["prepares"], plan["closes"], plan["deletes"]) == (5, 0, 0)
    assert not any(number.startswith("p") for number in house.directory()), "a plan changes nothing"
    house.stafett("policy", "activate", str(wider), "--yes", "--reason", "längre framförhållning")
    wait_until(lambda: sum(number.startswith("p") for number in house.directory()) == 5, seconds=20)

    narrow = json.loads(wider.read_text())
    rows = narrow["nodes"][1]["content"]["rules"]
    next(row for row in rows if row["_id"] == "employed")["lead_days"] = "1"
    status, problem = house.request("POST", "accounts", "/v1/policy/accounts/plan", {"content": narrow})
    assert status == 200
    assert problem["deletes"] == 5
    assert problem["needsConfirmation"]
    body = {"content": narrow, "hash": problem["hash"], "reason": "tillbaka"}
    status, refused = house.request("POST", "accounts", "/v1/policy/accounts/activate", body)
    assert (status, refused["code"]) == (409, "policy.held")
    assert json.loads(house.stafett("policy", "show", "--json"))["active"]["reason"] == "längre framförhållning"


def test_a_take_over_by_file_records_everybody_and_writes_nothing_in_the_directory(
    house: House, tmp_path: Path
) -> None:
    content = json.loads(POLICY.read_text("utf-8"))
    table = next(node["content"] for node in content["nodes"] if node["type"] == "decisionTableNode")
    table["inputs"].append({"id": "baseline", "name": "There before", "field": "baseline"})
    table["rules"] = [{**rule, "baseline": ""} for rule in table["rules"]]
    left_alone = {"_id": "taken-over", "organisation": "", "form": "", "baseline": "true", "account": "false"}
    table["rules"].insert(0, {**left_alone, "lead_days": "0", "grace_days": "0", "expires_days": "null"})
    policy, file = tmp_path / "accounts.json", tmp_path / "personal.csv"
    policy.write_text(json.dumps(content), "utf-8")
    house.stafett("policy", "activate", str(policy), "--yes", "--reason", "övertagande")
    house.settled()
    rows = [HEADER, *(line(f"t-{number}", f"Berg, Anna{number}", start="2026-01-01") for number in range(PEOPLE)), ""]
    file.write_bytes("\r\n".join(rows).encode("cp1252"))
    writes = house.writes()
    words = ("--source", hr.SOURCE, "--kind", "delta", "--baseline", "--json")
    plan = json.loads(house.stafett("file", "plan", str(file), *words))
    done = json.loads(house.stafett("file", "apply", plan["id"], "--json"))
    assert (done["state"], done["counts"]["applied"]) == ("done", PEOPLE)
    house.settled()
    assert house.writes() == writes
    _, found = house.request("GET", "status", "/v1/persons?q=Berg&limit=200")
    assert len(found["items"]) == PEOPLE
    assert all(one["userNames"] == [] for one in found["items"])
    with house.admin() as admin:
        assert admin.execute("SELECT count(*) FROM accounts.effect").fetchall() == [(0,)]
    house.stafett("policy", "activate", str(POLICY), "--yes", "--reason", "övertagandet är klart")
    wait_until(lambda: house.writes() > writes, seconds=30)


def test_a_bad_policy_is_refused_with_file_row_and_reason(house: House, tmp_path: Path) -> None:
    bad = changed(tmp_path / "bad.json", row="employed", lead_days="date('now')")
    status, problem = house.request(
        "POST", "accounts", "/v1/policy/accounts/plan", {"content": json.loads(bad.read_text())}
    )
    assert (status, problem["code"]) == (422, "policy.refused")
    assert "employed" in problem["errors"][0]["field"]
    assert "clock" in problem["errors"][0]["reason"]


def changed(file: Path, *, row: str, **cells: str) -> Path:
    content = json.loads(POLICY.read_text())
    for rule in content["nodes"][1]["content"]["rules"]:
        if rule["_id"] == row:
            rule.update(cells)
    file.write_text(json.dumps(content))
    return file


def test_an_undecodable_message_is_kept_visible_and_redelivered(house: House) -> None:
    publish(house, "bulk.person.core", "se.stafett.person.mover.v1", b'{"specversion": "1.0"}')
    publish(house, "bulk.person.confidential", "se.stafett.person.confidential.v1", b"{}")

    def dead(service: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(house.stafett("dead", "--service", service, "--json"))["items"]
        return found

    wait_until(lambda: len(dead("accounts")) == 1, seconds=20)
    wait_until(lambda: any(one["cause"] == "unrouted" for one in dead("status")), seconds=20)
    assert "id: missing" in dead("accounts")[0]["cause"]
    first = dead("accounts")[0]["id"]
    house.stafett("redeliver", "--service", "accounts", "--reason", "prov")
    wait_until(lambda: [one["id"] for one in dead("accounts")] not in ([first], []), seconds=20)
    (newest, *_) = house.request("GET", "status", "/v1/commands")[1]["items"]
    assert (newest["type"], newest["matched"]) == ("redeliver", 1)
    house.stafett("redeliver", "--service", "ingestion", "--reason", "prov", code=3)
    overview = json.loads(house.stafett("operations", "--json"))["services"]
    assert {one["service"]: one["deadLetters"]["kept"] for one in overview}["accounts"] == 1


def publish(house: House, key: str, type_: str, body: bytes) -> None:
    script = (
        "import asyncio, sys, aio_pika\n"
        "async def main():\n"
        "    connection = await aio_pika.connect(sys.argv[1])\n"
        "    exchange = await (await connection.channel()).get_exchange('stafett.events')\n"
        "    message = aio_pika.Message(sys.argv[4].encode(), type=sys.argv[3])\n"
        "    await exchange.publish(message, sys.argv[2])\n"
        "    await connection.close()\n"
        "asyncio.run(main())\n"
    )
    url = house.installation.environment("ingestion")["STAFETT_BROKER_URL"]
    subprocess.run([sys.executable, "-c", script, url, key, type_, body.decode()], check=True)


def test_a_person_is_found_followed_and_explained(house: House, tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    events = [hired(f"i{n}") for n in range(7)]
    bad = {**hired("i8"), "data": {"externalId": "i8", "name": {"given": False, "family": "X"}}}
    file.write_text("".join(json.dumps(event) + "\n" for event in [*events, bad]))
    house.stafett("import", str(file), code=1)
    wait_until(lambda: "i6" in house.directory(), seconds=20)
    house.settled()
    found = json.loads(house.stafett("person", "öberg", "--json"))
    assert found
    person = house.directory()["i3"].attributes["stafettPerson"][0]
    assert "enabled" in house.stafett("person", person)
    explained = house.stafett("explain", person)
    assert "employed" in explained, "the policy row that decided"
    house.stafett("follow", person)
    house.stafett("retry", person, "--service", "accounts", "--reason", "prov", code=3)


def account_of(house: House, person: str) -> dict[str, Any]:
    """What is told of somebody's only account."""
    (target,) = accounts_of(house, person)
    return target


def verified_at(house: House, person: str) -> str:
    return str(account_of(house, person)["verifiedAt"])


def test_somebody_is_verified_anew_and_what_was_changed_by_hand_is_put_right_when_that_is_decided(house: House) -> None:
    house.post([hired("drift")])
    wait_until(lambda: "drift" in house.directory(), seconds=20)
    house.settled()
    entry = house.directory()["drift"]
    person = entry.attributes["stafettPerson"][0]
    before = verified_at(house, person)
    house.ldap_tool("ldapmodify", f"dn: {entry.dn}\nchangetype: modify\nreplace: sn\nsn: Ändrad\n")
    sent = json.loads(house.stafett("reverify", person, "--service", "accounts", "--reason", "ser fel ut", "--json"))
    wait_until(lambda: verified_at(house, person) > before, seconds=20)
    command = sent["commands"][0]["id"]
    wait_until(lambda: "settled 1" in house.stafett("command", command), seconds=20)
    assert "carried it out" in house.stafett("command", command)
    # without a rule for the attribute it is told and left
    assert house.directory()["drift"].attributes["sn"] == ("Ändrad",)
    house.stafett("drift", "run", "openldap")
    wait_until(lambda: person in house.stafett("drift", "findings", "openldap", "--json"), seconds=30)
    decide = ("drift", "decide", "openldap", "reclaim", "--kind", "changed", "--attribute", "sn", "--yes")
    house.stafett(*decide, "--reason", "HR:s namn gäller")
    wait_until(lambda: house.directory()["drift"].attributes["sn"] == entry.attributes["sn"], seconds=20)


def test_a_group_that_another_hand_took_is_left_or_given_again_when_that_is_decided(house: House) -> None:
    house.post([hired("group", assignments=[hr.assignment(start=soon(-100), title="Rektor")])])
    wait_until(lambda: "group" in house.directory(), seconds=20)
    house.settled()
    entry = house.directory()["group"]
    person, base = entry.attributes["stafettPerson"][0], house.organisations["alvsund"].targets["openldap"]

    def step() -> tuple[str, str | None]:
        target = account_of(house, person)
        (one,) = [step for step in target["steps"] if step["code"] == "account.entitled"]
        return one["state"], (one["problem"] or {}).get("code")

    def decide(decision: str) -> None:
        whose = ("--kind", "grant_taken", "--person", person, "--attribute", "group:rektorer")
        house.stafett("drift", "decide", "openldap", decision, *whose, "--yes", "--reason", "utrett")

    wait_until(lambda: step() == ("verified", None), seconds=20, why=step)
    group = f"dn: cn=rektorer,ou=groups,{base}\nchangetype: modify\ndelete: member\nmember: {entry.dn}\n"
    house.ldap_tool("ldapmodify", group)
    house.stafett("drift", "run", "openldap")
    wait_until(lambda: step() == ("parked", "account.grant_taken_elsewhere"), seconds=30, why=step)
    decide("accept")
    wait_until(lambda: step() == ("skipped", "account.grant_left"), seconds=20, why=step)
    assert "group:rektorer" in house.stafett("drift", "findings", "openldap", "--person", person, "--ignored", "--json")
    decide("reclaim")
    wait_until(lambda: step() == ("verified", None), seconds=20, why=step)
    house.ldap_tool("ldapmodify", group)  # it is there to be taken


def test_everybody_is_verified_anew_and_the_command_comes_to_its_end(house: House) -> None:
    house.post([hired(f"v{n}") for n in range(3)])
    wait_until(lambda: "v2" in house.directory(), seconds=20)
    house.settled()
    people = [house.directory()[f"v{n}"].attributes["stafettPerson"][0] for n in range(3)]
    before = {person: verified_at(house, person) for person in people}
    writes = house.writes()
    arguments = ("reverify", "--all", "--yes", "--service", "accounts", "--reason", "månadens kontroll", "--json")
    command = json.loads(house.stafett(*arguments))["commands"][0]["id"]

    def told() -> dict[str, Any]:
        found: dict[str, Any] = house.request("GET", "status", f"/v1/commands/{command}")[1]
        return found

    wait_until(lambda: told()["carriedOutAt"] and "pending" not in told()["progress"], seconds=30, why=told)
    assert told()["count"] == told()["matched"] == sum(told()["progress"].values())
    assert all(verified_at(house, person) > before[person] for person in people)
    assert house.writes() == writes, "to look again writes nothing"


def test_a_paused_target_is_not_written_to_and_a_stream_tells_when_it_goes_on(house: House) -> None:
    house.settled()
    writes = house.writes()
    house.stafett("pause", "openldap", "--service", "accounts", "--reason", "katalogen flyttas")
    house.stafett("pause", "openldap", "--service", "accounts", "--reason", "igen", code=3)
    house.stafett("pause", "payroll", "--service", "accounts", "--reason", "r", code=3)
    assert "katalogen flyttas" in house.stafett("operations")
    (verdict,) = house.post([hired("paused")])
    person = verdict["person"]
    wait_until(lambda: house.request("GET", "status", f"/v1/persons/{person}")[0] == 200, seconds=20)
    assert house.writes() == writes
    detail = house.request("GET", "status", f"/v1/persons/{person}")[1]
    assert [one["code"] for one in detail["remains"]] == ["target.paused"]
    assert "nothing is written to the target" in house.stafett("person", person)
    assert house.request("GET", "status", "/v1/attention")[1]["paused"][0]["target"] == "openldap"
    with house.stream() as events:
        assert next(events)[0] == "ready"
        house.request("GET", "status", "/v1/persons")
        house.stafett("resume", "openldap", "--service", "accounts", "--reason", "flyttad")
        topics: list[str] = []
        for name, data in events:
            topics += [data["topic"]] if name == "changed" else []
            if topics and topics[-1] == "account.changed":
                assert data["persons"] == [person]
                break
    assert "audit.recorded" not in topics, "who is told reads, and would be told of that without end"
    assert house.request("GET", "status", "/v1/attention")[1]["paused"] == []
    assert "paused" in house.directory()
    actions = {item["action"] for item in house.request("GET", "status", "/v1/audit")[1]["items"]}
    assert {"target.paused", "target.resumed"} <= actions
    (read,) = house.request("GET", "status", f"/v1/audit?person={person}&action=person.read&limit=1")[1]["items"]
    assert read["actor"] == "tester"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": {"given": False, "family": "X"}}, "/data/name/given"),
        ({"name": {"given": "A\u0000", "family": "X"}}, "/data/name/given"),
        ({"unknownField": 1}, "/data/unknownField"),
        ({"employments": [{"id": "1", "form": "permanent", "validFrom": "2026-03-02"}]}, "/data/employments/0"),
        ({"employments": [hr.employment(start="2026-03-02", end="2026-03-01")]}, "/data/employments/0"),
    ],
)
def test_bad_input_is_refused_with_field_and_reason_and_nothing_is_half_applied(
    change: dict[str, Any], field: str, house: House
) -> None:
    event = hr.event({**hr.person("bad"), **change})
    status, problem = house.request(
        "POST", "ingestion", "/v1/events", event, headers={"Content-Type": "application/cloudevents+json"}
    )
    assert status == 422, problem
    assert any(error["field"].startswith(field) and error["reason"] for error in problem["errors"]), problem
    with house.admin() as conn:
        assert conn.execute("SELECT count(*) FROM ingestion.source_identity WHERE external_id = 'bad'").fetchone() == (
            0,
        )


def test_a_protected_person_is_nowhere_unless_a_scope_says_so(house: House) -> None:
    event = hired("secret")
    event["data"] |= {"protection": "protected", "name": {"given": "Göta", "family": "Skyddadsson"}}
    house.post([event])
    wait_until(lambda: "secret" in house.directory(), seconds=20)
    house.settled()
    person = house.directory()["secret"].attributes["stafettPerson"][0]
    for service, path in (
        ("status", f"/v1/persons/{person}"),
        ("status", f"/v1/persons/{person}/timeline"),
        ("accounts", f"/v1/accounts/{person}"),
        ("ingestion", f"/v1/persons/{person}/record"),
    ):
        assert house.request("GET", service, path)[0] == 404, path
    _, found = house.request("GET", "status", "/v1/persons?q=skyddadsson")
    assert found["items"] == []
    _, cases = house.request("GET", "status", "/v1/cases?limit=200")
    assert person not in json.dumps(cases)
    with house.admin() as conn:
        audited = conn.execute(
            "SELECT count(*) FROM ingestion.outbox WHERE type LIKE '%%audit%%' AND subject = %s", (person,)
        ).fetchone()
    assert audited is not None
    assert audited[0] >= 1, "a denied read is audited too"
