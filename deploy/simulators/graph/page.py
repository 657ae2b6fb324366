"""The page that shows what is in the simulator, in Swedish and English. Everything on it is made up and stays here."""

from collections.abc import Iterable
from html import escape
from itertools import islice

from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.service import Service
from deploy.simulators.graph.tenants import Tenant

MOST_ROWS = 200
MOST_REQUESTS = 50
LANGUAGES = ("sv", "en")
TEXTS = {
    "sv": {
        "title": "Simulerad Microsoft Graph",
        "what": "Det här är en simulator för utveckling och test, inte Microsoft. Inget härifrån lämnar datorn.",
        "other": "English",
        "users": "Användare",
        "name": "Namn",
        "login": "Inloggningsnamn",
        "state": "Läge",
        "licences": "Licenser",
        "groups": "Grupper",
        "routes": "Mejlregler",
        "units": "Administrativa enheter",
        "members": "Medlemmar",
        "deleted": "Borttagna",
        "since": "Borttagen",
        "skus": "Prenumerationer",
        "seats": "Platser",
        "used": "Använda",
        "faults": "Fel i kraft",
        "fault": "Fel",
        "where": "Var",
        "hits": "Träffar",
        "lag": "Läsningar släpar efter, sekunder",
        "down": "Tjänsten är nere.",
        "requests": "Senaste anropen",
        "time": "Tid",
        "request": "Anrop",
        "status": "Svar",
        "changes": "Ändrade",
        "open": "öppet",
        "closed": "stängt",
        "synced": "från AD",
        "none": "Inget.",
        "more": "och {} till",
        "empty": "Ingen organisation är inlagd.",
    },
    "en": {
        "title": "Simulated Microsoft Graph",
        "what": "This is a simulator for development and tests, not Microsoft. Nothing of it leaves this computer.",
        "other": "Svenska",
        "users": "Users",
        "name": "Name",
        "login": "User principal name",
        "state": "State",
        "licences": "Licences",
        "groups": "Groups",
        "routes": "Inbox rules",
        "units": "Administrative units",
        "members": "Members",
        "deleted": "Deleted",
        "since": "Deleted at",
        "skus": "Subscriptions",
        "seats": "Seats",
        "used": "Used",
        "faults": "Faults in force",
        "fault": "Fault",
        "where": "Where",
        "hits": "Hits",
        "lag": "Reads lag behind, seconds",
        "down": "The service is down.",
        "requests": "Last requests",
        "time": "Time",
        "request": "Request",
        "status": "Answer",
        "changes": "Changed",
        "open": "open",
        "closed": "closed",
        "synced": "from AD",
        "none": "Nothing.",
        "more": "and {} more",
        "empty": "There is no organisation in it.",
    },
}


def rendered(service: Service, language: str) -> str:
    """Return the page as HTML."""
    say = TEXTS[language]
    other = next(one for one in LANGUAGES if one != language)
    tenants = "".join(_tenant(tenant, say) for tenant in service.world.tenants.values())
    return f"""<!doctype html>
<html lang="{language}" data-theme="auto"><head><meta charset="utf-8"><title>{say["title"]} · Stafett</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/static/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/tokens.css"><link rel="stylesheet" href="/static/shell.css">
<link rel="stylesheet" href="/static/parts.css"></head>
<body><main>
<h1>{say["title"]}</h1>
<p class="notice">{say["what"]}</p>
<p><a href="?lang={other}" lang="{other}" hreflang="{other}">{say["other"]}</a></p>
{tenants or f"<p>{say['empty']}</p>"}
{_faults(service, say)}
{_requests(service, say)}
</main></body></html>"""


def _tenant(tenant: Tenant, say: dict[str, str]) -> str:
    now = tenant.now()
    users = [entry for _, entry in tenant.shelf.entries(Kind.USER, now)]
    groups = [entry for _, entry in tenant.shelf.entries(Kind.GROUP, now)]
    units = [entry for _, entry in tenant.shelf.entries(Kind.UNIT, now)]
    held: dict[str, list[str]] = {}
    for entry in (*groups, *units):
        for member in entry.members:
            held.setdefault(member, []).append(_name(entry))
    names = {sku.id: sku.part_number for sku in tenant.skus.values()}
    live_groups = [entry for entry in groups if entry.deleted is None]
    live = [entry for entry in users if entry.deleted is None]
    present = frozenset(entry.id for entry in (*live, *live_groups))
    gone = [entry for entry in (*users, *groups) if entry.deleted is not None]
    lag = f"<p>{say['lag']}: {tenant.lag:g}</p>" if tenant.lag else ""
    user_rows = (
        (
            _name(entry),
            str(entry.properties.get("userPrincipalName")),
            _state(entry, say),
            ", ".join(names.get(one["skuId"], "?") for one in entry.properties.get("assignedLicenses") or ()),
            ", ".join(sorted(held.get(entry.id, ()))),
            ", ".join(str(rule["displayName"]) for rule in entry.rules),
        )
        for entry in live
    )
    sku_rows = (
        (sku.part_number, str(sku.seats), str(tenant.shelf.seats_taken(sku.id))) for sku in tenant.skus.values()
    )
    return "".join(
        (
            f'<section aria-label="{escape(tenant.name)}"><h2>{escape(tenant.name)}</h2>',
            f"<p>{escape(', '.join(tenant.domains))}</p>{lag}",
            _table(say, "users", ("name", "login", "state", "licences", "groups", "routes"), user_rows, len(live)),
            _table(say, "groups", ("name", "members"), _memberships(live_groups, present), len(live_groups)),
            _table(say, "units", ("name", "members"), _memberships(units, present), len(units)),
            _table(
                say,
                "deleted",
                ("name", "login", "since"),
                ((_name(one), str(one.properties.get("userPrincipalName", "")), _moment(one)) for one in gone),
                len(gone),
            ),
            _table(say, "skus", ("name", "seats", "used"), sku_rows, len(tenant.skus)),
            "</section>",
        )
    )


def _faults(service: Service, say: dict[str, str]) -> str:
    faults = list(service.faults.faults.values())
    down = f"<p><strong>{say['down']}</strong></p>" if service.faults.down else ""
    rows = ((fault.kind.value, f"{fault.method or '*'} {fault.path}", str(fault.hits)) for fault in faults)
    return down + _table(say, "faults", ("fault", "where", "hits"), rows, len(faults))


def _requests(service: Service, say: dict[str, str]) -> str:
    records = service.journal.last(MOST_REQUESTS)
    rows = (
        (
            record.at[11:19],
            f"{record.method} {record.path}",
            f"{record.status} {record.code or ''}",
            ", ".join(record.changes),
        )
        for record in records
    )
    return _table(say, "requests", ("time", "request", "status", "changes"), rows, len(records))


def _table(
    say: dict[str, str], title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], count: int
) -> str:
    head = f'<div class="card-head"><h3>{say[title]} ({count})</h3></div>'
    if not count:
        return f'<section class="card">{head}<div class="stack"><p>{say["none"]}</p></div></section>'
    names = "".join(f'<th scope="col">{say[column]}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in islice(rows, MOST_ROWS))
    more = f'<div class="stack"><p>{say["more"].format(count - MOST_ROWS)}</p></div>' if count > MOST_ROWS else ""
    # a table that is wider than the page scrolls in a region that the keyboard reaches
    return (
        f'<section class="card">{head}<div class="scroll" role="region" tabindex="0" aria-label="{say[title]}">'
        f'<table class="wide"><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>{more}</section>'
    )


def _memberships(entries: Iterable[Entry], live: frozenset[str]) -> Iterable[tuple[str, ...]]:
    return ((_name(entry), str(len(entry.members & live))) for entry in entries)


def _name(entry: Entry) -> str:
    return str(entry.properties.get("displayName"))


def _moment(entry: Entry) -> str:
    return entry.deleted.isoformat(sep=" ", timespec="seconds") if entry.deleted else ""


def _state(entry: Entry, say: dict[str, str]) -> str:
    state = say["open"] if entry.properties.get("accountEnabled") is True else say["closed"]
    return f"{state}, {say['synced']}" if entry.synced else state
