"""A small town for the pages: people of every fate, with names that break careless software."""

from typing import Any

from tests.support import hr
from tests.support.house import House, at, soon, wait_until
from tests.support.story import TODAY

LIMIT = 3
HOSTILE = (
    ("<script>document.title='xss'</script>", "Ek"),
    ("<img src=x onerror=document.title='xss'>", "Al"),
    ("\"' onfocus=document.title='xss' autofocus x='", "Asp"),
    ("{{7*7}}${7*7}", "Alm"),
    ("</textarea></title><svg/onload=document.title='xss'>", "Lind"),
    ("javascript:document.title='xss'", "Björk"),
)
PARKED = "9001"
PEOPLE = (
    ("Anna", "Andersson", "Undersköterska"),
    ("Björn", "Åkesson-Öberg", "Lärare"),
    ("Máret", "Utsi", "Bibliotekarie"),
    ("Karl-Erik", "von Bergen", "Handläggare"),
    ("Zoë", "Lindqvist Berg", "Socionom"),
    ("Hassan", "Yılmaz", "Kock"),
    ("Iŋgá", "Nutti", "Barnskötare"),
    ("Ulla", "Ström", "Rektor"),
    ("Per", "Nilsson", "Vaktmästare"),
    ("Linnéa", "Falk", "Sjuksköterska"),
    ("Sven-Åke", "Åström", "Ingenjör"),
    ("Sofia", "Jönsson", "Kommunikatör"),
)


def hired(number: str, name: tuple[str, str], title: str = "Lärare", **fields: Any) -> dict[str, Any]:
    """A person with one employment that began a while ago, unless said otherwise."""
    start = fields.pop("start", soon(-100))
    placed = [{**hr.assignment(start=start), "title": title}]
    one = hr.employment(employeeNumber=number, start=start, assignments=placed, **fields)
    return hr.event(
        hr.person(number, one, name={"given": name[0], "family": name[1]}), time="2026-03-01T08:00:00+01:00"
    )


def ended(number: str) -> dict[str, Any]:
    """An end that nobody announced."""
    return hr.change(number, time="2026-03-02T07:00:00+01:00", validTo=soon(-1), endReason="resignation")


def handmade(house: House, number: str) -> str:
    """Put an object in the directory that nobody manages; return its DN."""
    dn = f"uid=handmade{number},ou=people,{house.organisations['alvsund'].targets['openldap']}"
    ldif = (
        f"dn: {dn}\nobjectClass: inetOrgPerson\nuid: handmade{number}\ncn: Hand\nsn: Made\nemployeeNumber: {number}\n"
    )
    house.ldap_tool("ldapadd", ldif)
    return dn


def staged(house: House) -> None:
    """Let OpenLDAP go live in stages: in the town everybody is, at the neighbours nobody yet."""
    file = house.installation.folder / "targets" / "targets.toml"
    file.write_text(file.read_text().replace("[openldap]\n", "[openldap]\nstaged = true\n"))
    accounts = house.installation.services["accounts"]
    accounts.stop()
    accounts.launch()
    accounts.wait_ready(60)
    live, everybody = "/v1/targets/openldap/live", {"units": ["*"]}
    count = house.request("POST", "accounts", f"{live}/plan", everybody)[1]["people"]
    given = {**everybody, "reason": "Alla är med", "matches": count}
    assert house.request("POST", "accounts", live, given)[0] == 202
    units = [hr.unit("r-1", name="Station Bergby"), hr.unit("r-2", name="Förebyggande")]
    people = [hired("8001", ("Tage", "Lindberg"), "Brandman"), hired("8002", ("Siv", "Ros"), "Brandingenjör")]
    for event in people:
        event["data"]["employments"][0]["assignments"][0]["unit"] = "r-1"
    neighbours = [{**one, "source": "https://hr.bergby.example/personal"} for one in [*units, *people]]
    house.post(neighbours, organisation="bergby")


def settle(house: House) -> None:
    """Fill the town and wait until everything has been done that can be."""
    house.set_business_time(at(TODAY))
    house.post([hr.unit("u-1")])
    handmade(house, PARKED)
    numbered = [(str(1000 + n), (given, family), title) for n, (given, family, title) in enumerate(PEOPLE)]
    house.post([hired(number, name, title) for number, name, title in numbered])
    house.post([hired(str(2000 + n), name) for n, name in enumerate(HOSTILE)])
    house.post([hired(PARKED, ("Gunnar", "Handgjord"), "Byggnadsingenjör")])
    house.post([hired("3001", ("Ebba", "Sommar"), "Badvärd", start=soon(20), end=soon(90), form="seasonal")])
    house.post([hired("3002", ("Nils", "Nyström"), "Lärarvikarie", start=soon(6), end=soon(200), form="substitute")])
    protected = hired("3003", ("Göta", "Skyddadsson"))
    protected["data"]["protection"] = "protected"
    house.post([protected])
    house.settled()
    house.post([ended(number) for number, *_ in numbered[:6]])
    # the principal stays one: what policy gives her is not taken, which would count in the guard
    moved = {**hr.assignment("u-1", soon(-5)), "title": "Rektor"}
    house.post([hr.change("1007", time="2026-03-02T07:00:00+01:00", assignments=[moved])])
    wait_until(lambda: len(holds(house)) == 6 - LIMIT, seconds=30, why=lambda: holds(house))
    house.settled()


def holds(house: House) -> list[dict[str, Any]]:
    """What the guard holds."""
    found: list[dict[str, Any]] = house.request("GET", "status", "/v1/holds")[1]["items"]
    return found
