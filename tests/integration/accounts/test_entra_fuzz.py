"""Answers of Graph that are not what they must be: a failure with a code, nothing twice, and nobody else written.

Each example leads a life of an account while some answers of the simulator are spoilt on their way, and then goes on
with whole ones until the account is as it shall be.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from contracts.texts import CODES
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.seeds import CollectiveSeed, PlanSeed, SkuSeed, UserSeed
from services.accounts.adapters.entra import EntraAccounts
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Change, Create
from services.accounts.ports import Lookup, Stamp
from services.kernel.directory import Graph, GraphAccess
from services.kernel.failures import Failure
from services.kernel.marks import Mark
from tests.support.entra import MemoryAskedNames, options
from tests.support.graph import DOMAIN, tenant_seed
from tests.support.graph_in_process import ROOT, graph_in_process
from tests.support.graph_in_process import Graph as Simulator

EXAMPLES = 60
BYSTANDER = "00000000-0000-4000-8000-00000000beef"
STAFF, PLAN = Grant(GrantKind.GROUP, "Alla"), Grant(GrantKind.LICENCE, "SPE_E3")
ROUTE = Grant(GrantKind.MAIL_ROUTE, f"registrator@{DOMAIN}")
LINKS: tuple[Any, ...] = (
    "https://elsewhere.example/v1.0/users",
    f"{ROOT}/v1.0/users",
    f"{ROOT}.evil/v1.0/",
    "",
    "\ud800",
    7,
    [],
)

scalars = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([BYSTANDER, "\ud800", "\0", "9" * 5000])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
RAW = (b"", b"<html>", b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b"null", b"7")
STATUS = (200, 204, 302, 400, 401, 403, 404, 409, 412, 424, 429, 503)
WAITS = ("nan", "inf", "-1", "1e999", "soon", "Fri, 31 Dec 99999 23:59:59 GMT")
Spoil = tuple[str, Any]
Answer = TypeVar("Answer")
spoils: st.SearchStrategy[Spoil] = st.one_of(
    st.tuples(st.just("raw"), st.sampled_from(RAW)),
    st.tuples(st.just("cut"), st.floats(0, 1)),
    st.tuples(st.just("body"), anything),
    st.tuples(st.just("leaf"), st.tuples(st.integers(0, 200), anything)),
    st.tuples(st.just("drop"), st.integers(0, 200)),
    st.tuples(st.just("link"), st.sampled_from(LINKS)),
    st.tuples(st.just("many"), st.integers(1, 3000)),
    st.tuples(st.just("status"), st.sampled_from(STATUS)),
    st.tuples(st.just("wait"), st.sampled_from(WAITS)),
)


class Spoiler(httpx2.AsyncBaseTransport):
    """Passes requests on, and spoils the answers whose turn it is."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, plan: Mapping[int, Spoil]) -> None:
        self._inner = inner
        self._plan = plan
        self._turn = -1

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert str(request.url).startswith(f"{ROOT}/v1.0/"), "a token must not go elsewhere"
        answer = await self._inner.handle_async_request(request)
        content = await answer.aread()
        self._turn += 1
        if self._turn not in self._plan:
            return httpx2.Response(answer.status_code, headers=answer.headers, content=content)
        status, headers, content = spoilt(self._plan[self._turn], answer.status_code, content)
        return httpx2.Response(status, headers=headers, content=content)


def spoilt(spoil: Spoil, status: int, content: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and content of a spoilt answer."""
    how, value = spoil
    if how == "raw":
        return status, {}, value
    if how == "cut":
        return status, {}, content[: int(len(content) * value)]
    if how == "status":
        return value, {}, content
    if how == "wait":
        return 429, {"retry-after": value, "x-ms-throttle-limit-percentage": value}, content
    if how == "body":
        return status, {}, json.dumps(value).encode()
    body = json.loads(content) if content else {}
    if how == "link":
        body = {**body, "@odata.nextLink": value}
    elif how == "many" and body.get("value"):
        body = {**body, "value": body["value"] * value}
    elif how in ("leaf", "drop"):
        places = list(_places(body))
        if places:
            number, new = value if how == "leaf" else (value, None)
            holder, key = places[number % len(places)]
            if how == "drop":
                del holder[key]
            elif not (isinstance(holder[key], bool) and isinstance(new, bool)):
                holder[key] = new
    return status, {}, json.dumps(body).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


class Tokens:
    """A token that is always good."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def bearer(self) -> str:
        """Return it."""
        return self._token

    def forget(self, token: str | None = None) -> None:
        """The same one is fetched anew."""

    def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def accounts(simulator: Simulator, asked: MemoryAskedNames, plan: Mapping[int, Spoil]) -> Any:
    graph = Graph(GraphAccess(f"{ROOT}/v1.0", f"{ROOT}/t", "c", secret="s"))
    await graph._http.aclose()
    graph._tokens.close()
    inner: Any = simulator.http._transport
    graph._http = httpx2.AsyncClient(transport=Spoiler(inner, plan))
    tokens: Any = Tokens(simulator.http.headers["Authorization"].removeprefix("Bearer "))
    graph._tokens = tokens
    try:
        yield EntraAccounts(graph, options(domains={"alvsund": DOMAIN}, settle=(0.0,)), asked)
    finally:
        await graph.close()


def others(simulator: Simulator, person: UUID) -> list[Entry]:
    """Return all users that are not the person's, as the tenant has them."""
    tenant = simulator.tenant
    found = [entry for _, entry in tenant.shelf.entries(Kind.USER, tenant.now())]
    return [one for one in found if not _is(one, person)]


def theirs(simulator: Simulator, person: UUID) -> list[Entry]:
    tenant = simulator.tenant
    return [one for _, one in tenant.shelf.entries(Kind.USER, tenant.now()) if _is(one, person)]


def _is(entry: Entry, person: UUID) -> bool:
    marks = entry.properties.get("onPremisesExtensionAttributes") or {}
    return marks.get("extensionAttribute15") == str(person)


async def lead(subject: EntraAccounts, person: UUID, told: list[Failure]) -> None:
    """Lead a life; what fails is told, and the next step is taken with what is known."""
    stamp = Stamp("alvsund", person, Mark(1, 1), 1)
    attributes = {"displayName": ("Anna",), "mail": (f"anna@{DOMAIN}",), "employeeNumber": ("17",)}
    lookup = Lookup("alvsund", person, "17", "anna", f"anna@{DOMAIN}")

    async def attempt(call: Awaitable[Answer]) -> Answer | None:
        try:
            return await call
        except Failure as failure:
            told.append(failure)
            return None

    found = await attempt(subject.find(lookup))
    if found is not None and found.mine is None and not found.login_taken and not found.unmanaged:
        await attempt(subject.add("anna", Create(True, attributes), stamp))
        found = await attempt(subject.find(lookup))
    if found is None or found.mine is None:
        return
    mine = found.mine
    for grant in (STAFF, PLAN, ROUTE):
        await attempt(subject.grant(mine, grant, stamp))
    await attempt(subject.held(mine, {STAFF, PLAN, ROUTE}))
    await attempt(subject.change(mine, Change({"title": ("Rektor",)}), stamp))
    await attempt(subject.set_password(mine, "Vinter-Kajak-42!", stamp))
    for grant in (ROUTE, PLAN, STAFF):
        await attempt(subject.revoke(mine, grant, stamp))
    await attempt(_read(subject))
    await attempt(subject.change(mine, Change({}, enabled=False), stamp))


async def _read(subject: EntraAccounts) -> None:
    async for _ in subject.pages("alvsund"):
        pass


async def example(plan: Mapping[int, Spoil]) -> None:
    person, told, asked = uuid4(), list[Failure](), MemoryAskedNames()
    names = {"userPrincipalName": f"bo@{DOMAIN}", "mailNickname": "bo", "displayName": "Bo"}
    seed = tenant_seed(
        users=(UserSeed(id=BYSTANDER, properties=names),),
        groups=(CollectiveSeed(properties={"displayName": "Alla"}), CollectiveSeed(properties={"displayName": "VIP"})),
        skus=(SkuSeed(part_number="SPE_E3", plans=(PlanSeed(name="EXCHANGE_S_STANDARD"),)),),
    )
    async with graph_in_process(seed) as simulator:
        before = copy.deepcopy(others(simulator, person))
        async with asyncio.timeout(60):
            async with accounts(simulator, asked, plan) as spoilt_accounts:
                await lead(spoilt_accounts, person, told)
            assert others(simulator, person) == before
            for failure in told:
                assert failure.code in CODES, failure.code
            asked.later(901)  # what became of it shows by now
            healed = list[Failure]()
            async with accounts(simulator, asked, {}) as whole:
                await lead(whole, person, healed)
        assert others(simulator, person) == before
        (account,) = theirs(simulator, person)
        assert (account.properties["accountEnabled"], account.rules) == (False, ())
        groups = [one for _, one in simulator.tenant.shelf.entries(Kind.GROUP, simulator.tenant.now())]
        assert [one.members for one in groups] == [frozenset(), frozenset()]


@given(st.dictionaries(st.integers(0, 45), spoils, min_size=1, max_size=4))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_spoilt_answers_are_failures_with_a_code_and_write_nobody_else(plan: dict[int, Spoil]) -> None:
    asyncio.run(example(plan))
