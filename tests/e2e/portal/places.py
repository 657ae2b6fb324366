"""Every page there is, with things to see on it."""

import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from deploy.local.settings import ROOT
from tests.support import hr
from tests.support.house import House, accounts_of, soon, wait_until
from tests.support.town import PARKED, hired, holds


def person_of(house: House, number: str) -> str:
    """Return a person's id by employee number."""
    found: dict[str, Any] = house.request("GET", "status", f"/v1/persons?q={number}")[1]
    (one,) = found["items"]
    return str(one["id"])


def command_of(house: House) -> str:
    """Return the newest command; one is given when there is none yet."""
    items = house.request("GET", "status", "/v1/commands")[1]["items"]
    if items:
        return str(items[0]["id"])
    body = {"type": "reverify", "service": "accounts", "person": person_of(house, PARKED), "reason": "en extra koll"}
    return str(house.request("POST", "status", "/v1/commands", body)[1]["id"])


def proposal_of(house: House, number: str) -> str:
    """Return a person's proposal that waits for a second person; one is made when there is none yet."""
    person = person_of(house, number)
    items = house.request("GET", "ingestion", "/v1/access/proposals")[1]["items"]
    waiting = [one["id"] for one in items if one["person"] == person]
    if waiting:
        return f"/people/{person}/access/{waiting[0]}"
    body = {"action": "keep", "until": soon(5), "reason": "Lämnar över sina ärenden"}
    status, made = house.request("POST", "ingestion", f"/v1/persons/{person}/access", body)
    assert status == 202, made
    return f"/people/{person}/access/{made['id']}"


def blocked(house: House, number: str) -> str:
    """Return a person whose access is closed."""
    person = person_of(house, number)

    def access() -> Any:
        return house.request("GET", "status", f"/v1/persons/{person}")[1]["access"]

    if not access():
        body = {"action": "disable", "reason": "Misstänkt intrång"}
        house.request("POST", "ingestion", f"/v1/persons/{person}/access", body)
        wait_until(lambda: bool(access()), seconds=20)
        house.settled()
    return person


HEADER = (
    "POSTTYP;PERSONID;NAMN;TILLTALSNAMN;PERSONNR;SEKRETESS;ANSTNR;ANSTFORM;FROM;TOM;SYSSGRAD;LON;ENHET;BEFATTNING;"
    "ANSVAR;VERKSAMHET;CHEF;FRANVARO;FRVDEL;FRVFROM;FRVTOM"
)


def line(number: str, name: str, title: str = "Lärare", form: str = "T", start: str = "2026-11-02") -> str:
    """A row of a file about somebody."""
    return f"P;{number};{name};;;N;{number};{form};{start};9999-12-31;1;;1100;{title};;;;;;;"


def sent(house: House, name: str, lines: list[str], until: str, **query: str) -> str:
    """Return a file by its name; it is handed in, and waited for, when there is none yet."""
    items = house.request("GET", "ingestion", "/v1/files?limit=100")[1]["items"]
    known = next((one["id"] for one in items if one["name"] == name), None)
    if known is not None:
        return str(known)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.csv"
        file.write_bytes("\r\n".join([*lines, ""]).encode("cp1252") if lines else b"")
        came = house.upload(f"/v1/files?{urlencode({'source': hr.SOURCE, 'name': name, **query})}", file)
    path = f"/v1/files/{came['id']}"
    wait_until(lambda: house.request("GET", "ingestion", path)[1]["state"] == until, seconds=30)
    return str(came["id"])


def files(house: House) -> dict[str, str]:
    """Return a file of each fate: held, refused, and planned with a poison row."""
    # the first one starts far ahead: nobody in the town is touched
    held = sent(house, "personal-halv.csv", [HEADER, line("7001", "Ahead, Ylva")], "done", kind="full", plan="false")
    refused = sent(house, "personal-tom.csv", [], "refused", kind="full", plan="true")
    hostile = line("<img src=x onerror=document.title='xss'>", "</td><script>document.title='xss'</script>, A")
    rows = [HEADER, line("7002", "Ny, Nora"), line("1003", "von Bergen, Karl-Erik", "Rektor"), hostile]
    rows.insert(2, line("7003", "Fel, Form", form="Q"))
    planned = sent(house, "ändringar v 10.csv", rows, "planned", kind="delta", plan="true")
    return {"held": held, "refused": refused, "planned": planned}


def told(number: str, name: tuple[str, str], official: str, time: str = "2026-03-01T08:00:00+01:00") -> dict[str, Any]:
    """Somebody with an official number, whose first eight digits are the birth date."""
    event = hired(number, name)
    event["time"] = time
    event["data"]["identifiers"] = [{"kind": "personnummer", "value": official}]
    event["data"]["birthDate"] = f"{official[:4]}-{official[4:6]}-{official[6:8]}"
    return event


def identities(house: House) -> dict[str, str]:
    """Return a question of each kind, and two records that were found to be one person's, made when there are none."""

    def asked() -> dict[str, Any]:
        items = house.request("GET", "ingestion", "/v1/identity/cases?state=all")[1]["items"]
        return {one["person"]["name"]["given"]: one for one in items}

    if "Ragnhild" not in asked():
        # one after the other: the first has the number or the id, the second comes with it
        for one in (
            told("5001", ("Ragnhild", "Öberg"), "198503071238"),
            told("5002", ("Anna", "<i>Berg"), "198503071238"),
            told("5003", ("Karin", "Lund"), "198011031234"),
            told("5003", ("Bo", "Ek"), "199502021234", time="2026-03-01T09:00:00+01:00"),
        ):
            house.post([one])
        both = house.post([hired("5004", ("Maj", "Wik")), hired("5005", ("Maj", "Vik"))])
        kept, absorbed = (one["person"] for one in both)
        house.settled()
        body = {"absorb": absorbed, "reason": "Samma person, två anställningar"}
        assert house.request("POST", "ingestion", f"/v1/persons/{kept}/merge", body)[0] == 200
        house.settled()
    found, merged = asked(), "Maj"
    kept, absorbed = found[merged]["person"]["id"], found[merged]["other"]["id"]
    case = {name: f"/identity/{one['id']}" for name, one in found.items()}
    return {
        "identity": "/identity",
        "identity-shared": case["Ragnhild"],
        "identity-same": case["Ragnhild"] + "/same",
        "identity-returned": case["Karin"],
        "identity-separate": case["Karin"] + "/separate",
        "identity-decided": case[merged],
        "person-aliases": f"/people/{kept}",
        "person-alias": f"/people/{absorbed}",
        "person-retire": f"/people/{absorbed}/retire",
        "person-split": f"/people/{kept}/split",
        "person-merge-find": f"/people/{kept}/merge?q=berg",
        "person-merge": f"/people/{kept}/merge?other={found['Ragnhild']['other']['id']}",
    }


def strays(house: House) -> None:
    """Two accounts that others made for one person who has none yet, and one that fits nobody; once."""
    number = "S6001"
    if house.request("GET", "status", f"/v1/persons?q={number}")[1]["items"]:
        return
    base = house.organisations["alvsund"].targets["openldap"]
    for login, name, more in (
        ("siwe01", "Siv Wennerström", f"employeeNumber: {number}\ntitle: Kurator\nmail: siv.w@alvsund.example\n"),
        ("siv.adm", "Siv W (admin)", f"employeeNumber: {number.lower()}\n"),
        ("skrivare3", "Skrivare <b>3", ""),
    ):
        entry = f"dn: uid={login},ou=people,{base}\nobjectClass: inetOrgPerson\nuid: {login}\ncn: {name}\nsn: {login}\n"
        house.ldap_tool("ldapadd", entry + more)
    house.post([hired(number, ("Siv", "Wennerström"), "Kurator")])
    house.settled()


def drifting(house: House) -> dict[str, str]:
    """Let somebody change accounts by hand, have the target compared and a take-over planned; return the pages."""
    strays(house)
    entries = [one for one in house.directory().values() if "stafettPerson" in one.attributes]
    for entry, attribute, value in zip(entries, ("title", "departmentNumber"), ("Chef <b>", "77"), strict=False):
        house.ldap_tool(
            "ldapmodify", f"dn: {entry.dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
        )
    for path in ("/v1/drift/openldap/runs", "/v1/takeover/openldap/plan"):
        assert house.request("POST", "accounts", path, {})[0] == 202

    def read() -> bool:
        plan = house.request("GET", "accounts", "/v1/takeover/openldap")[1]
        return bool(plan["plan"]) and bool(house.request("GET", "accounts", "/v1/drift/openldap")[1]["comparedAt"])

    wait_until(read, seconds=60)
    plan = house.request("GET", "accounts", "/v1/takeover/openldap")[1]["plan"]
    rows = house.request("GET", "accounts", "/v1/takeover/openldap/rows?certainty=ambiguous")[1]["items"]
    one = next(row for row in rows if row["userName"] == "siwe01")
    pair = f"plan={plan}&entry={one['entry']}"
    return {
        "takeover-none": "/targets/openldap/takeover?certainty=none",
        "takeover-account": f"/targets/openldap/account?entry={one['entry']}",
        "takeover-pair": f"/targets/openldap/adopt?{pair}&person={one['candidates'][0]}",
        "takeover-dismiss": f"/targets/openldap/dismiss?{pair}",
        "units": "/targets/openldap/live",
        "drift": "/targets/openldap",
        "drift-changed": "/targets/openldap?kind=changed",
        "drift-none": "/targets/openldap?kind=duplicate",
        "drift-decide": "/targets/openldap/decide?kind=changed",
        "takeover": "/targets/openldap/takeover",
        "takeover-ambiguous": "/targets/openldap/takeover?certainty=ambiguous",
        "takeover-adopt": f"/targets/openldap/adopt?plan={plan}",
    }


def changed_table() -> dict[str, Any]:
    """The delivered table with a row changed, one gone, one new and one elsewhere."""
    content: dict[str, Any] = json.loads((ROOT / "deploy/policy/accounts.json").read_text())
    (table,) = (node["content"] for node in content["nodes"] if node["type"] == "decisionTableNode")
    rules = {rule["_id"]: rule for rule in table["rules"]}
    rules["employed"]["grace_days"] = "45"
    fresh = {**rules["trainee"], "_id": "intern", "_description": "Intern", "_description_sv": "Praktikant på prov"}
    middle = [rules[name] for name in ("seasonal", "hourly", "consultant", "trainee", "fixed-term", "employed")]
    table["rules"] = [rules["school-break"], fresh, *middle, rules["other"]]
    return content


def put_in_force(house: House, content: dict[str, Any], reason: str, table: str = "accounts") -> str:
    """Activate a table; return its hash."""
    path = f"/v1/policy/{table}"
    planned: dict[str, Any] = house.request("POST", "accounts", f"{path}/plan", {"content": content})[1]
    body = {"content": content, "hash": planned["hash"], "reason": reason, "removals": planned["removals"]}
    status, answer = house.request("POST", "accounts", f"{path}/activate", body)
    assert status == 202, answer
    return str(planned["hash"])


def birthright(*rows: tuple[str, str, str]) -> dict[str, Any]:
    """The delivered table with more rows: (id, title, group)."""
    content: dict[str, Any] = json.loads((ROOT / "deploy/policy/birthright.json").read_text())
    (table,) = (node["content"] for node in content["nodes"] if node["type"] == "decisionTableNode")
    like = table["rules"][0]
    for row, title, group in rows:
        texts = {"_description": f"{group} for {title}", "_description_sv": f"{group} för {title}"}
        more = {"title": f"'{title}'", "value": f"'{group}'", "absence": "", "keep_days": "14"}
        table["rules"].append({**like, **texts, **more, "_id": row})
    return content


ENGINEER = "1010"


def entitlements(house: House, number: str) -> dict[str, bool]:
    """Return the groups that somebody has, or is to have: whether it is there."""
    (target,) = accounts_of(house, person_of(house, number))
    return {one["value"]: one["given"] for one in target["entitlements"]}


def engineer(house: House) -> str:
    """Return somebody who has one group by policy, and waits for another that is not there; arranged when it is not."""
    if not entitlements(house, ENGINEER):
        base = house.organisations["alvsund"].targets["openldap"]
        dn = f"cn=teknik,ou=groups,{base}"
        house.ldap_tool("ldapadd", f"dn: {dn}\nobjectClass: groupOfNames\ncn: teknik\nmember: {dn}\n")
        rows = (("engineers", "Ingenjör", "teknik"), ("drawings", "Ingenjör", "ritningar"))
        put_in_force(house, birthright(*rows), "Teknikerna får sin grupp", "birthright")
        wait_until(lambda: entitlements(house, ENGINEER) == {"teknik": True, "ritningar": False}, seconds=30)
    return person_of(house, ENGINEER)


SCHOOLS = "o-1"


def organised(house: House) -> dict[str, str]:
    """Tell of some units without people, of which one is to move; return the pages of the organisation by name."""
    units = [
        hr.unit("o-0", name="Älvsunds kommun", manager="1007", kind="kommun", costCentre="1000"),
        hr.unit(SCHOOLS, name="Skolförvaltningen", parent="o-0", mailDomain="skola.alvsund.example"),
        hr.unit("o-2", name="Vård & omsorg", parent="o-0", manager="1001"),
        *(hr.unit(f"o-1{n}", name=f"Rektorsområde {n}", parent=SCHOOLS) for n in range(1, 4)),
        hr.unit("o-111", name="Björkskolan", parent="o-11", site="Björkgatan 1"),
        hr.unit("o-1111", name="Arbetslag <A>", parent="o-111"),
    ]
    moved = hr.unit("o-11", name="Rektorsområde ett", parent="o-2", time="2026-03-02T08:00:00+01:00")
    moved["data"]["effectiveFrom"] = soon(30)
    ends = hr.unit("o-13", name="Rektorsområde 3", parent=SCHOOLS, time="2026-03-02T08:00:00+01:00")
    ends["data"] |= {"validTo": soon(60), "successors": ["o-12"]}
    base = house.organisations["alvsund"].targets["openldap"]
    for other in ("alvsund-o-12", "alvsund-o-13"):  # others have groups with the names of ours
        dn = f"cn={other},ou=groups,{base}"
        if not house.ldapsearch(base, f"(cn={other})", "cn"):
            house.ldap_tool("ldapadd", f"dn: {dn}\nobjectClass: groupOfNames\ncn: {other}\nmember: {dn}\n")
    house.post(units)
    house.post([moved, ends])
    house.settled()
    return {
        "organisation": "/organisation",
        "organisation-below": "/organisation?root=o-11",
        "organisation-later": f"/organisation?on={soon(30)}",
        "organisation-before": "/organisation?on=1999-01-01",
        "organisation-found": "/organisation?q=rektors",
        "organisation-none": "/organisation?q=finnsinte",
        "organisation-unit": "/organisation/units/o-11",
        "organisation-people": "/organisation/units/u-1",
        "organisation-print": "/organisation/print",
        "organisation-plan": "/organisation/plan",
        "organisation-changes": "/organisation/changes",
        "organisation-problems": "/organisation/problems?every=true",
        "organisation-targets": "/organisation/targets",
        "organisation-target": "/organisation/targets/openldap",
        "organisation-adopt": "/organisation/targets/openldap/adopt",
    }


def places(house: House) -> dict[str, str]:
    """Return each page's path by its name."""
    parked, held = person_of(house, PARKED), holds(house)
    cases = house.request("GET", "status", f"/v1/cases?person={parked}")[1]["items"]
    done = house.request("GET", "status", "/v1/cases?state=done&kind=joiner&limit=1")[1]["items"]
    act = f"/act?type=retry&service=accounts&person={parked}"
    came = files(house)
    found = {
        "files": "/files",
        "files-none": "/files?state=applying",
        "file-planned": f"/files/{came['planned']}",
        "file-apply": f"/files/{came['planned']}/apply",
        "file-held": f"/files/{came['held']}?state=held",
        "file-release": f"/files/{came['held']}/release",
        "file-refuse-nobody": f"/files/{came['held']}/refuse?some=1",
        "file-refused": f"/files/{came['refused']}",
        "start": "/",
        "cases": "/cases",
        "cases-filtered": "/cases?state=attention&kind=joiner",
        "cases-none": "/cases?reason=death",
        "case-parked": f"/cases/{cases[0]['id']}",
        "case-done": f"/cases/{done[0]['id']}",
        "people": "/people",
        "people-found": "/people?q=a",
        "people-none": "/people?q=finnsinte",
        "person": f"/people/{parked}",
        "attention": "/attention",
        "targets": "/targets",
        **drifting(house),
        "operations": "/operations",
        "policy": "/policy",
        "policy-trial": f"/policy/trial?person={parked}",
        "policy-trial-choices": "/policy/trial?person=a",
        "policy-plan": "/policy/plan",
        "person-groups": f"/people/{engineer(house)}",
        "drift-grant-taken": f"/targets/openldap/decide?kind=grant_taken&person={engineer(house)}",
        "drift-grants": "/targets/openldap?kind=grant_taken",
        "policy-trial-groups": f"/policy/trial?person={engineer(house)}",
        "policy-birthright": "/policy?table=birthright",
        "policy-birthright-plan": "/policy/plan?table=birthright",
        "policy-names": "/policy?table=names",
        "policy-no-such-table": "/policy?table=nothing",
        "commands": "/commands",
        "command": f"/commands/{command_of(house)}",
        "pause": "/operations/accounts/openldap/pause",
        "audit": "/audit",
        "audit-person": f"/audit?person={parked}",
        "audit-none": "/audit?actor=nobody",
        "confirm": act,
        "person-blocked": f"/people/{blocked(house, '1011')}",
        "access-close": f"/people/{parked}/access/disable",
        "access-keep": f"/people/{parked}/access/keep",
        "access-approve": proposal_of(house, "1000") + "/approve",
        "skip": act.replace("retry", "skip"),
        "activate": "/activate",
        "activation-issue": f"/people/{parked}/activation/issue",
        "not-there": "/cases/00000000-0000-4000-8000-000000000000",
        "no-such-page": "/nowhere",
    }
    found |= identities(house) | organised(house)
    if held:
        found["person-held"] = f"/people/{held[0]['person']}"
    return found
