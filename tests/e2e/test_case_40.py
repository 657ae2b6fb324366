"""Protection that is told late (DOMAIN 40): everything is searched, from outside, for what somebody was known by.

The account was made, renamed, changed by hand, put in a group; a code is out, a plan and findings hold values, work is
parked, a letter is dead. Then protection is told.
"""

import json
import re
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import ldap3
import pytest

from deploy.local.graph import TENANT
from services.kernel.directory.encryption import StrictTls
from tests.e2e.test_operating import publish
from tests.support import hr
from tests.support.browsing import chromium, visitor
from tests.support.collector import Collector, collecting
from tests.support.house import House, at, running_house, soon, wait_until
from tests.support.story import TODAY

NUMBER, OFFICIAL = "k-7731", "198507099805"
WORDS = (
    "xylofina",
    "qvarnzell",
    "zetterquarx",
    "xylqva",
    "8507099805",
    "850709-9805",
    "zeppelin",
    "xq@hemma",
    "hemvägen",
)
UNIT = "wrångebäck"
PASSWORD = "Blå hästar 42 på ängen"
SERVICES = ("ingestion", "accounts", "status")
GROUP = "cn=kören,ou=groups,dc=alvsund,dc=example"
NOBODY = str(uuid.UUID(int=0))
HELD = {
    # what HR told, kept as it was told, for those who may see it
    "ingestion.fact", "ingestion.person", "ingestion.person_version", "ingestion.official_number", "ingestion.outbox",
    # the newest word on the person, and the names that nobody else may ever get
    "accounts.input", "accounts.name_reservation", "status.person",
}  # fmt: skip
"""In which tables the words are afterwards: in these, and in no other."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def house(collector: Collector) -> Iterator[House]:
    with running_house(
        portal=True,
        active_directory=True,
        graph=True,
        STAFETT_OTLP_ENDPOINT=collector.url,
        STAFETT_TRACE_RATIO="1",
    ) as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1"), hr.unit("u-9", name="Wrångebäcks ateljé")])
        house.settled()
        yield house


def hired(family: str, time: str, **fields: Any) -> hr.Event:
    placed = [{**hr.assignment("u-9", soon(-100)), "title": "Zeppelinvärd"}]
    one = hr.employment(employeeNumber=NUMBER, start=soon(-100), assignments=placed)
    about = {
        "name": {"given": "Xylofina", "family": family},
        "birthDate": "1985-07-09",
        "identifiers": [{"kind": "personnummer", "value": OFFICIAL}],
        "privateContact": {"mail": "xq@hemma.example", "address": "Hemvägen 3"},
    }
    return hr.event(hr.person(NUMBER, one, **{**about, **fields}), time=time)


def words(text: str, among: Sequence[str] = WORDS) -> list[str]:
    folded = text.casefold()
    return [word for word in among if word in folded]


def administrator(house: House) -> ldap3.Connection:
    samba = house.installation.samba
    server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(str(samba.ca_file)))
    connection = ldap3.Connection(server, samba.admin_dn, samba.config.admin_password, client_strategy=ldap3.SAFE_SYNC)
    assert connection.bind()[0]
    return connection


def in_openldap(house: House) -> str:
    """All entries of all trees, operational attributes too."""
    bases = sorted({one.targets["openldap"] for one in house.organisations.values()})
    found = [house.ldapsearch(base, "(objectClass=*)", "*", "+") for base in bases]
    return "\n".join(f"{dn} {values}" for entries in found for dn, values in entries.items())


def in_domain(house: House) -> str:
    """All objects of the domain, deleted ones too."""
    connection = administrator(house)
    _, result, found, _ = connection.search(
        "DC=stafett,DC=example", "(objectClass=*)", attributes=["*"], controls=[("1.2.840.113556.1.4.417", True, None)]
    )
    connection.unbind()
    assert result["result"] == 0
    entries = [one for one in found if one["type"] == "searchResEntry"]
    assert len(entries) > 100
    return "\n".join(
        f"{one['dn']} " + " ".join(v.decode("utf-8", "replace") for vs in one["raw_attributes"].values() for v in vs)
        for one in entries
    )


def at_work(house: House, *texts: str) -> list[str]:
    """What in directories tells where she works: her own entries that name the unit, its groups that name her."""
    dn = house.directory()[NUMBER].dn.casefold()
    lines = [line.casefold() for text in texts for line in text.splitlines()]
    hers = [line for line in lines if NUMBER in line and (UNIT in line or "u-9" in line)]
    return hers + [line for line in lines if line.startswith("cn=alvsund-u-9") and dn in line]


def control(house: House, method: str, path: str, body: Any = None) -> Any:
    port, token = house.installation.ports.http["graph"], house.installation.graph.control_token
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/control{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read())


def users(house: House) -> list[dict[str, Any]]:
    """Users of the tenant, deleted ones too."""
    found: list[dict[str, Any]] = control(house, "GET", f"/tenants/{TENANT}")["user"]
    return found


def by_hand(house: House) -> str:
    """Let others have an account for her in the domain, before we come; return its DN."""
    dn = "CN=Xylofina Qvarnzell,OU=people,OU=alvsund,DC=stafett,DC=example"
    names = {"sAMAccountName": "xylqva01", "displayName": "Xylofina Qvarnzell", "mail": "xylqva01@old.example"}
    connection = administrator(house)
    assert connection.add(dn, ["user"], {**names, "employeeNumber": NUMBER})[0]
    connection.unbind()
    return dn


def answers(house: House, person: str) -> Iterator[tuple[str, str]]:
    """What every GET of every API answers to somebody with all rights but that to protected people."""
    for service in SERVICES:
        port = house.installation.ports.http[service]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=30) as document:
            paths = json.loads(document.read())["paths"]
        for path in sorted(path for path, verbs in paths.items() if "get" in verbs and "stream" not in path):
            for filled in fillings(house, path, person):
                status, body = answered(house, service, filled)
                yield f"{service} {filled} {status}", body


def fillings(house: House, path: str, person: str) -> list[str]:
    """A path with whatever belongs to her in it; lists in each of their kinds."""
    known = {"target": house.installation.targets, "table": ("accounts", "birthright", "names")}
    found = [path]
    for name in re.findall(r"{(\w+)}", path):
        values = known.get(name) or ((person,) if name in {"person", "person_id"} else (NOBODY, person))
        found = [one.replace(f"{{{name}}}", value) for one in found for value in values]
    more = {
        "/rows": [f"?certainty={one}" for one in ("certain", "ambiguous", "none")],
        "/trial": [f"?person={person}"],
        "/v1/persons": ["?q=Xylofina", "?q=Zetterquarx", f"?q={OFFICIAL}", "?limit=200"],
        "/v1/cases": ["?q=Xylofina", f"?person={person}", "?limit=200"],
        "/Users": ["?filter=" + quote(f'externalId eq "{NUMBER}"'), ""],
    }
    return [one + query for one in found for query in next((v for k, v in more.items() if one.endswith(k)), [""])]


def answered(house: House, service: str, path: str) -> tuple[int, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{house.installation.ports.http[service]}{path}",
        headers={"Authorization": f"Bearer {house.token()}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def told_by_apis(house: House, person: str) -> list[tuple[str, list[str]]]:
    found = ((where, words(body)) for where, body in answers(house, person))
    return [(where, told) for where, told in found if told]


def pages(house: House, person: str) -> dict[str, list[str]]:
    """Which words the pages show to operations and to who reads everything; what a page loads is a page too."""
    paths = ["/", "/parts/today", "/parts/hand", "/parts/figures", "/people", "/people?q=Xylof", f"/people/{person}"]
    paths += [f"/people/{person}/{part}" for part in ("targets", "activation", "access", "merge")]
    paths += [
        "/cases",
        "/attention",
        "/audit",
        "/identity",
        "/files",
        "/operations",
        "/commands",
        "/targets",
        "/policy",
    ]
    paths += [f"/policy/trial?table=accounts&person={person}"]
    for target in house.installation.targets:
        paths += [f"/targets/{target}", f"/targets/{target}/takeover"]
    found: dict[str, list[str]] = {}
    url = house.installation.services["portal"].url
    with chromium() as browser, visitor(browser, url) as it:
        for roles in (("operations",), ("it_read", "auditor", "records", "manager")):
            it.context.clear_cookies()
            it.sign_in("alvsund", *roles)
            for path in paths:
                answer = it.context.request.get(url + path)
                found[f"{roles[0]} {path} {answer.status}"] = words(answer.text())
    return {where: told for where, told in found.items() if told}


def tables(house: House) -> set[tuple[str, str]]:
    """In which tables a word is, bytes read as text too."""
    with house.admin() as conn:
        names = conn.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND n.nspname IN ('kernel', 'ingestion', 'accounts', 'status', 'portal')"
        ).fetchall()
        return {
            (f"{schema}.{table}", word)
            for schema, table in names
            for (row,) in conn.execute(f'SELECT t::text FROM {schema}."{table}" t'.encode()).fetchall()
            for word in words(row) + words(_bytes(row))
        }


def _bytes(row: str) -> str:
    shown = re.findall(r"\\\\x([0-9a-f]+)", row)
    return " ".join(bytes.fromhex(one).decode(errors="replace") for one in shown if len(one) % 2 == 0)


def compared(house: House, kind: str = "drift") -> None:
    """Have each target read, and wait for it."""
    act, key = ("runs", "comparedAt") if kind == "drift" else ("plan", "madeAt")
    for target in house.installation.targets:
        path = f"/v1/{kind}/{target}"
        before = house.request("GET", "accounts", path)[1][key]
        assert house.request("POST", "accounts", f"{path}/{act}", {})[0] == 202
        wait_until(partial(newer, house, path, key, before), seconds=60)


def newer(house: House, path: str, key: str, before: str) -> bool:
    return bool(house.request("GET", "accounts", path)[1][key] != before)


def buried(house: House, service: str) -> bool:
    return bool(json.loads(house.stafett("dead", "--service", service, "--json"))["items"])


def queued(house: House) -> list[str]:
    """Queues that hold messages, dead letters among them, with how many."""
    told = house.installation.rabbitmq.control(
        "list_queues", "-q", "-p", "stafett", "name", "messages", "--no-table-headers"
    )
    return [line for line in told.splitlines() if not line.endswith("\t0")]


def test_case_40_protection_told_late_hides_everything_that_a_search_finds(house: House, collector: Collector) -> None:
    stray = by_hand(house)
    (verdict,) = house.post([hired("Qvarnzell", "2026-03-01T08:00:00+01:00")])
    person = verdict["person"]
    wait_until(lambda: NUMBER in house.directory(), seconds=30)
    house.post([hired("Zetterquarx", "2026-03-01T09:00:00+01:00")])
    wait_until(lambda: "zetterquarx" in str(house.directory()[NUMBER]).casefold(), seconds=30)
    house.settled()
    entry = house.directory()[NUMBER]
    assert entry.uid == "xylofina.qvarnzell", "a login is for life"
    house.ldap_tool("ldapadd", f"dn: {GROUP}\nobjectClass: groupOfNames\ncn: kören\nmember: {entry.dn}\n")
    house.ldap_tool("ldapmodify", f"dn: {entry.dn}\nchangetype: modify\nreplace: title\ntitle: Zeppelinkapten\n-\n")
    _, code = house.request("POST", "accounts", f"/v1/accounts/{person}/activation", {"reason": "första dagen"})
    body = {"specversion": "1.0", "data": {"name": "Xylofina Zetterquarx", "official": OFFICIAL}}
    publish(house, "bulk.person.core", "se.stafett.person.mover.v1", json.dumps(body).encode())
    publish(house, "bulk.person.confidential", "se.stafett.person.confidential.v1", json.dumps(body).encode())
    for service in ("accounts", "status"):
        wait_until(partial(buried, house, service), seconds=30)
    compared(house)
    compared(house, "takeover")

    shown = pages(house, person)
    for part in (
        "/people?q=Xylof",
        f"/people/{person} ",
        "/cases",
        "/targets/openldap ",
        "/active_directory/takeover",
    ):
        assert any(part in where for where in shown), (part, shown)
    before = told_by_apis(house, person)
    for part in (
        "/findings",
        "rows?certainty=certain",
        f"/v1/accounts/{person} ",
        "/v1/persons?q=Xylofina",
        "/v1/cases",
    ):
        assert any(part in where for where, _ in before), (part, "the search finds what is there")
    for text in (in_openldap(house), in_domain(house), str(users(house))):
        assert {"xylofina", "qvarnzell"} <= set(words(text))
    assert len(at_work(house, in_openldap(house))) == 2, "her entry, and the group of her unit"
    assert ("accounts.finding", "zeppelin") in tables(house)
    assert {"accounts.takeover_row", "accounts.outbox"} <= {table for table, _ in tables(house)}

    house.post([hired("Zetterquarx", "2026-03-02T08:30:00+01:00", protection="protected")])
    wait_until(lambda: not told_by_apis(house, person), seconds=20, why=lambda: told_by_apis(house, person))
    assert not {table for table, _ in tables(house)} & {"accounts.finding"}, "at once, and not at the next reading"
    house.settled()

    token = house.installation.issuer.mint(
        "alvsund",
        ["persons:read_protected", "persons:read", "targets:read", "targets:write", "cases:read"],
        subject="protected",
    )
    mine = {"Authorization": f"Bearer {token}"}
    _, plan = house.request("GET", "accounts", "/v1/takeover/active_directory", headers=mine)
    _, rows = house.request("GET", "accounts", "/v1/takeover/active_directory/rows?certainty=certain", headers=mine)
    (row,) = rows["items"]
    adoption = {
        "plan": plan["plan"],
        "rows": [{"entry": row["entry"], "person": person}],
        "matches": 1,
        "reason": "hennes",
    }
    status, adopted = house.request("POST", "accounts", "/v1/takeover/active_directory/adopt", adoption, headers=mine)
    assert (status, adopted["refused"]) == (202, [])
    house.settled()
    assert stray.casefold() not in in_domain(house).casefold()

    def waits() -> list[str]:
        _, told = house.request("GET", "status", f"/v1/persons/{person}", headers=mine)
        return re.findall(r"account\.addresses_left", json.dumps(told))

    wait_until(lambda: bool(waits()), seconds=30)
    (user,) = (one for one in users(house) if one["employeeId"] == NUMBER)
    assert words(str({**user, "proxyAddresses": []})) == []
    kept = [one for one in user["proxyAddresses"] if not words(one)]
    control(house, "PUT", f"/tenants/{TENANT}/users/{user['id']}/addresses", {"addresses": kept})
    with house.admin() as conn:
        conn.execute("UPDATE accounts.work SET retry_at = now() WHERE state = 'waiting'")
    wait_until(lambda: not waits(), seconds=30)

    for again in (False, True):
        if again:  # what is read anew, said anew or asked for anew tells no more
            compared(house)
            compared(house, "takeover")
            house.stafett("replay", "--to", "status", "--reason", "prov")
            house.stafett("redeliver", "--service", "accounts", "--reason", "prov")
            house.settled()
        for where, text in (("openldap", in_openldap(house)), ("ad", in_domain(house)), ("entra", str(users(house)))):
            known = words(text)
            assert known == [], (where, [line for line in text.splitlines() if words(line, known)])
            assert at_work(house, text) == [], where
        assert told_by_apis(house, person) == []
        assert {table for table, _ in tables(house)} == HELD
    assert pages(house, person) == {}
    logs = {
        file.name: words(file.read_text(errors="replace")) for file in (house.installation.folder / "log").iterdir()
    }
    assert {name: told for name, told in logs.items() if told} == {}
    assert words(" ".join(f"{one.name} {one.attributes}" for one in collector.spans())) == []
    for service in SERVICES:
        port = house.installation.ports.metrics[service]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert words(answer.read().decode()) == []
    wait_until(lambda: not queued(house), seconds=30, why=lambda: queued(house))
    members = house.ldapsearch(GROUP, "(objectClass=*)", "member")
    entry = house.directory()[NUMBER]
    assert next(iter(members.values()))["member"] == (entry.dn,), "she is in her group under her new name"
    used = {"login": entry.uid, "code": code["code"], "password": PASSWORD}
    status, done = house.request("POST", "accounts", "/v1/activations", used)
    assert status == 200, done
    assert house.binds(entry.dn, PASSWORD)
    issued_by_who_may(house, person)


def issued_by_who_may(house: House, person: str) -> None:
    """Nobody who may not see her issues a code, her manager neither; hr and operations in one do, for a reason."""
    path, body = f"/v1/accounts/{person}/activation", {"reason": "nytt lösenord"}
    mint = house.installation.issuer.mint
    for roles, reason, expected in (
        (["manager"], "", 404),
        (["operations"], "", 404),
        (["hr"], "nytt lösenord", 403),
        (["hr", "operations"], "", 404),
        (["hr", "operations"], "nytt lösenord", 201),
    ):
        token = mint("alvsund", [], subject="somebody", roles=roles, person=NOBODY)
        headers = {"Authorization": f"Bearer {token}", **({"Stafett-Reason": quote(reason)} if reason else {})}
        status, told = house.request("POST", "accounts", path, body, headers=headers)
        assert status == expected, (roles, reason, told)
        assert status != 404 or "both hr and operations" in told["detail"]
