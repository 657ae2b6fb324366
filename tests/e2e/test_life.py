"""A person's whole life through the public doors: HTTP in, bind at the directory, status API out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import hr
from tests.support.house import House, at, running_house, soon, wait_until

TODAY = "2026-03-02"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1"), hr.unit("u-2", name="Hemtjänst söder")])
        house.settled()
        yield house


def hired(
    number: str, name: tuple[str, str] = ("Åsa", "Öberg"), *, organisation: str = "alvsund", **fields: Any
) -> Any:
    source = "https://hr.bergby.example/personal" if organisation == "bergby" else hr.SOURCE
    return hr.event(
        hr.person(
            number,
            hr.employment(employeeNumber=number, **{"start": soon(-100), **fields}),
            name={"given": name[0], "family": name[1]},
        ),
        source=source,
        time="2026-03-01T08:00:00+01:00",
    )


def account(house: House, number: str, organisation: str = "alvsund") -> Any:
    wait_until(lambda: number in house.directory(organisation), seconds=30, why=lambda: f"no account for {number}")
    return house.directory(organisation)[number]


def person_id(house: House, event: dict[str, Any]) -> str:
    verdict = house.post([event])[0]
    _, answer = house.request("GET", "ingestion", verdict["location"])
    found: str = answer["person"]
    return found


def test_a_joiner_cannot_log_in_before_the_start_and_can_after_and_a_leaver_the_other_way_round(house: House) -> None:
    house.post([hired("1001", start=soon(1)), hired("1002", end=soon(0))])
    joiner, leaver = account(house, "1001"), account(house, "1002")
    for one in (joiner, leaver):
        house.set_password(one.dn, "hemlig-1")
    assert not house.binds(joiner.dn, "hemlig-1")
    assert house.binds(leaver.dn, "hemlig-1")
    house.set_business_time(at(soon(0), "23:59"))
    house.settled()
    assert not house.binds(joiner.dn, "hemlig-1")
    house.set_business_time(at(soon(1), "00:01"))
    wait_until(lambda: house.binds(joiner.dn, "hemlig-1"), seconds=20)
    wait_until(lambda: not house.binds(leaver.dn, "hemlig-1"), seconds=20)
    house.set_business_time(at(TODAY))


def test_a_dismissal_closes_at_once(house: House) -> None:
    house.post([hired("1010")])
    one = account(house, "1010")
    house.set_password(one.dn, "hemlig-1")
    assert house.binds(one.dn, "hemlig-1")
    house.post([hr.change("1010", time="2026-03-02T08:59:00+01:00", validTo=TODAY, endReason="dismissal")])
    wait_until(lambda: not house.binds(one.dn, "hemlig-1"), seconds=10)


def test_a_rehired_person_gets_the_same_account_back(house: House) -> None:
    house.post([hired("1020")])
    one = account(house, "1020")
    house.post([hr.change("1020", time="2026-03-02T07:00:00+01:00", validTo=soon(-5), endReason="resignation")])
    wait_until(lambda: house.directory()["1020"].disabled, seconds=20)
    data = hr.person(
        "1020", hr.employment("2", start=soon(0), employeeNumber="1020"), name={"given": "Åsa", "family": "Öberg"}
    )
    house.post([hr.event(data, time="2026-03-02T08:00:00+01:00")])
    wait_until(lambda: not house.directory()["1020"].disabled, seconds=20)
    assert house.directory()["1020"].uid == one.uid
    assert house.directory()["1020"].attributes["stafettPerson"] == one.attributes["stafettPerson"]


def test_two_anna_andersson_at_the_same_second_get_two_logins(house: House) -> None:
    house.post([hired("1030", ("Anna", "Andersson")), hired("1031", ("Anna", "Andersson"))])
    house.settled()
    logins = {account(house, "1030").uid, account(house, "1031").uid}
    assert logins == {"anna.andersson", "anna.andersson2"}


def test_a_name_change_keeps_the_login_and_gives_a_new_address(house: House) -> None:
    house.post([hired("1040", ("Lena", "Ek"))])
    one = account(house, "1040")
    change = {"externalId": "1040", "name": {"given": "Lena", "family": "Strömberg"}}
    house.post([hr.event(change, time="2026-03-02T08:00:00+01:00")])
    wait_until(lambda: "lena.stromberg@alvsund.example" in house.directory()["1040"].attributes["mail"], seconds=20)
    assert house.directory()["1040"].uid == one.uid
    assert house.directory()["1040"].attributes["displayName"] == ("Lena Strömberg",)


def test_an_unmanaged_object_parks_and_is_left_alone(house: House) -> None:
    slapd, base = house.installation.slapd, house.organisations["alvsund"].targets["openldap"]
    dn = f"uid=handmade,ou=people,{base}"
    ldif = f"dn: {dn}\nobjectClass: inetOrgPerson\nuid: handmade\ncn: Hand Made\nsn: Made\nemployeeNumber: 1050\n"
    ldapadd(house, ldif)
    event = hired("1050")
    person = person_id(house, event)

    def parked() -> bool:
        status, body = house.request("GET", "status", f"/v1/persons/{person}")
        return status == 200 and "account.unmanaged" in json.dumps(body)

    wait_until(parked, seconds=30)
    assert house.ldapsearch(base, "(employeeNumber=1050)", "stafettPerson") == {dn: {}}
    assert slapd.pid is not None
    ldapdelete(house, dn)
    status, _ = house.request(
        "POST",
        "status",
        "/v1/commands",
        {"type": "retry", "service": "accounts", "person": person, "reason": "tog bort"},
    )
    assert status == 202
    wait_until(lambda: "1050" in house.directory(), seconds=30)


def test_a_name_taken_by_hand_makes_the_generator_take_the_next(house: House) -> None:
    base = house.organisations["alvsund"].targets["openldap"]
    dn = f"uid=berit.lund,ou=people,{base}"
    ldapadd(house, f"dn: {dn}\nobjectClass: inetOrgPerson\nuid: berit.lund\ncn: Berit\nsn: Lund\nemployeeNumber: x-1\n")
    house.post([hired("1060", ("Berit", "Lund"))])
    assert account(house, "1060").uid == "berit.lund2"
    ldapdelete(house, dn)


def test_an_unknown_unit_holds_back_only_the_department(house: House) -> None:
    house.post([hired("1070", assignments=[hr.assignment("u-late", soon(-100))])])
    one = account(house, "1070")
    assert not one.disabled
    assert "ou" not in one.attributes
    house.post([hr.unit("u-late", name="Sent inrättad")])
    wait_until(lambda: house.directory()["1070"].attributes.get("ou") == ("Sent inrättad",), seconds=20)


def test_organisations_see_nothing_of_each_other(house: House) -> None:
    person = person_id(house, hired("1080"))
    house.post([hired("1080", ("Ove", "By"), organisation="bergby")], organisation="bergby")
    wait_until(lambda: "1080" in house.directory("bergby"), seconds=30)
    assert house.request("GET", "status", f"/v1/persons/{person}", organisation="bergby")[0] == 404
    assert house.request("GET", "ingestion", f"/v1/persons/{person}/record", organisation="bergby")[0] == 404
    verdicts = house.post([hired("1081", organisation="bergby")], organisation="alvsund")
    assert verdicts[0]["status"] == "rejected"
    assert verdicts[0]["problem"]["code"] == "source.forbidden"


def test_a_case_is_done_when_the_account_is_verified_and_says_how_long_it_took(house: House) -> None:
    person = person_id(house, hired("1090", start=soon(0)))

    def case() -> Any:
        _, cases = house.request("GET", "status", "/v1/cases?kind=joiner&state=done&limit=200")
        return next((item for item in cases["items"] if item["person"] == person), None)

    wait_until(lambda: case() is not None, seconds=30)
    assert 0 < case()["seconds"] < 30
    _, found = house.request("GET", "status", f"/v1/persons/{person}")
    assert found["cases"] == [], "no case of this person is open"
    assert found["targets"][0]["observed"] == "enabled"
    assert found["targets"][0]["why"], "which policy row decided"


def test_a_replay_brings_a_lost_projection_back(house: House) -> None:
    house.settled()
    _, before = house.request("GET", "status", "/v1/persons?q=oberg")
    assert before["items"]
    status, _ = house.request("POST", "status", "/v1/replays", {"to": "status", "reason": "prov"})
    assert status == 202
    house.settled()
    _, after = house.request("GET", "status", "/v1/persons?q=oberg")
    assert [item["id"] for item in after["items"]] == [item["id"] for item in before["items"]]


def test_a_trace_runs_from_the_request_to_the_directory(house: House) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    event = hired("1100")
    status, _ = house.request(
        "POST",
        "ingestion",
        "/v1/events",
        event,
        headers={"Content-Type": "application/cloudevents+json", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    assert status == 202
    account(house, "1100")
    log = house.installation.log("accounts").read_text()
    writes = [json.loads(line) for line in log.splitlines() if line.startswith("{") and trace in line]
    assert any(line.get("operation") == "add" for line in writes), writes


def test_logs_hold_no_names_numbers_or_addresses(house: House) -> None:
    logs = "".join(house.installation.log(name).read_text() for name in house.installation.service_names)
    for secret in ("Öberg", "oberg", "Andersson", "anna.", "Strömberg", "stromberg", "@alvsund.example", "hemlig"):
        assert secret not in logs, secret


def ldapadd(house: House, ldif: str) -> None:
    house.ldap_tool("ldapadd", ldif)


def ldapdelete(house: House, dn: str) -> None:
    house.ldap_tool("ldapdelete", f"{dn}\n")


def test_what_a_person_cannot_get_is_skipped_until_hr_speaks_again(house: House) -> None:
    base = house.organisations["alvsund"].targets["openldap"]
    dn = f"uid=handmade2,ou=people,{base}"
    ldapadd(house, f"dn: {dn}\nobjectClass: inetOrgPerson\nuid: handmade2\ncn: H\nsn: M\nemployeeNumber: 1095\n")
    person = person_id(house, hired("1095"))

    def steps(state: str) -> list[str]:
        _, body = house.request("GET", "status", f"/v1/cases?person={person}")
        _, case = house.request("GET", "status", f"/v1/cases/{body['items'][0]['id']}")
        return [step["code"] for step in case["steps"] if step["state"] == state]

    def attention() -> set[str]:
        _, body = house.request("GET", "status", "/v1/attention")
        return {f"{item['state']} {item['revision']}" for item in body["items"] if item["person"] == person}

    wait_until(lambda: attention() == {"parked 1"}, seconds=30)
    house.stafett("skip", person, "--service", "accounts", "--reason", "kontot sköts av leverantören")
    wait_until(lambda: attention() == set(), seconds=20, why=attention)
    assert steps("skipped") == ["account.created", "account.enabled"]
    _, cases = house.request("GET", "status", f"/v1/cases?person={person}")
    assert [case["state"] for case in cases["items"]] == ["done"]
    house.stafett("skip", person, "--service", "accounts", "--reason", "igen", code=3)
    house.post([hr.change("1095", time="2026-03-02T08:30:00+01:00", extent=50)])
    wait_until(lambda: attention() == {"parked 2"}, seconds=30, why=attention)
    ldapdelete(house, dn)
    house.stafett("retry", person, "--service", "accounts", "--reason", "borta")
    wait_until(lambda: "1095" in house.directory(), seconds=30)
