"""Looking for users in Entra ID: by id, which sees the latest, or in the index, which lags."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

from services.accounts.adapters import entra_answers as answers
from services.accounts.adapters.entra_attributes import EXPAND, EXTENSIONS, SELECT, EntraOptions, User, addresses
from services.accounts.ports import Lookup
from services.kernel.directory import Graph, NoSuchEntry, Request, identified, literal

USERS = "/users"
DELETED = "/directory/deletedItems/microsoft.graph.user"
GROUPS = "/groups"


class EntraSearch:
    """The reads of the adapter. Nothing is remembered."""

    def __init__(self, graph: Graph, options: EntraOptions) -> None:
        self._graph = graph
        self._options = options

    async def user(self, entry: str, deadline: float | None) -> User | None:
        """Return the user with this id or userPrincipalName, or None: not there, or not replicated yet."""
        try:
            request = Request("GET", "/users/{id}", {"id": entry}, query={"$select": SELECT, "$expand": EXPAND})
            return answers.asked((await self._graph.read(request, deadline=deadline)).body, entry)
        except NoSuchEntry:
            return None

    async def all(self, path: str, conditions: Sequence[str], deadline: float | None) -> list[User]:
        """Return the users that meet at least one of the conditions, from the index."""
        query = {"$filter": " or ".join(conditions), "$select": SELECT}
        request = Request("GET", path, query=query, eventual=True)
        found = [one async for page in self._graph.pages(request, deadline=deadline) for one in page]
        return [answers.user(one, live=path is USERS) for one in found]

    async def some(self, path: str, conditions: Sequence[str], deadline: float | None) -> bool:
        """Tell whether an object meets at least one of the conditions."""
        query = {"$filter": " or ".join(conditions), "$select": "id"}
        pages = self._graph.pages(Request("GET", path, query=query, eventual=True), deadline=deadline)
        return any([bool(page) async for page in pages])

    async def members(self) -> AsyncIterator[list[User]]:
        """Yield all users who are no guests, a page at a time."""
        query = {"$filter": "userType eq 'Member'", "$select": SELECT, "$expand": EXPAND, "$top": "999"}
        async for page in self._graph.pages(Request("GET", USERS, query=query)):
            yield [answers.user(one) for one in page]

    async def deleted(self, entry: str, deadline: float | None) -> bool:
        """Tell whether it is among the deleted items."""
        try:
            request = Request("GET", "/directory/deletedItems/{id}", {"id": entry}, query={"$select": "id"})
            found = (await self._graph.read(request, deadline=deadline)).body
        except NoSuchEntry:
            return False
        return identified(found) == entry

    def of(self, person: UUID) -> str:
        """Return the condition for accounts that say they are this person's."""
        return f"{EXTENSIONS}/{self._options.person_attribute} eq {literal(str(person))}"

    def candidates(self, lookup: Lookup) -> list[str]:
        """Return the conditions for what may be the person's, or has a name that they want."""
        conditions = [self.of(lookup.person)]
        if lookup.correlation:
            conditions.append(f"employeeId eq {literal(lookup.correlation)}")
        if lookup.login:
            principal = self._options.principal(lookup.organisation, lookup.login, None)
            conditions += [f"mailNickname eq {literal(lookup.login)}", f"userPrincipalName eq {literal(principal)}"]
        return conditions + (addressed(lookup.mail) if lookup.mail else [])

    def unmanaged(self, user: User, lookup: Lookup) -> bool:
        """Tell whether it is nobody's, and has the person's correlation key."""
        key = str(user.get("employeeId") or "").casefold()
        return lookup.correlation is not None and key == lookup.correlation.casefold() and not self._options.owner(user)

    def named(self, user: Mapping[str, object], lookup: Lookup) -> bool:
        """Tell whether it has the login that the person wants."""
        if lookup.login is None:
            return False
        principal = self._options.principal(lookup.organisation, lookup.login, None).casefold()
        return str(user.get("mailNickname") or "").casefold() == lookup.login.casefold() or principal in addresses(user)


def addressed(address: str, *, users: bool = True) -> list[str]:
    """Return the conditions for what has the address; a userPrincipalName only `users` have."""
    principal = [f"userPrincipalName eq {literal(address)}"] if users else []
    proxies = (literal(f"{kind}:{address}") for kind in ("SMTP", "smtp"))
    return [*principal, f"mail eq {literal(address)}", *(f"proxyAddresses/any(p:p eq {proxy})" for proxy in proxies)]
