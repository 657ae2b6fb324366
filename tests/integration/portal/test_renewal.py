"""Tokens are renewed beside the requests: one at a time, never in anybody's way, and no answer of the provider lost."""

import asyncio
from datetime import timedelta

from services.portal.bootstrap import Portal
from services.portal.domain.sessions import Session, new_id
from services.portal.handlers.renewing import Renewing
from services.portal.ports import ProviderUnavailable, SignInRefused
from tests.integration.portal.conftest import Clock
from tests.support.portal import FakeProvider, session


async def kept(portal: Portal, clock: Clock, left: timedelta) -> tuple[str, Session]:
    cookie, one = new_id(), session(clock.now(), access_until=clock.now() + left)
    async with portal.database.transaction() as conn:
        await portal.app.state.doors.signing.sessions.keep(conn, cookie, one)
    return cookie, one


def renewing(portal: Portal, provider: FakeProvider) -> Renewing:
    return Renewing(portal.database, portal.app.state.doors.signing.sessions, provider)


async def test_a_slow_provider_holds_up_nobody_whose_token_is_good(lonely: Portal, clock: Clock) -> None:
    answered = asyncio.Event()

    async def hold() -> None:
        await answered.wait()

    provider = FakeProvider(clock.now, hold=hold)
    one = renewing(lonely, provider)
    cookie, old = await kept(lonely, clock, timedelta(seconds=40))
    # more than there are connections, and none of them waits
    found = await asyncio.gather(*(one.current(cookie, old, clock.now()) for _ in range(30)))
    assert {each.access_token for each in found if each} == {"first"}
    async with lonely.database.transaction() as conn:
        # the claim is a moment's; a lock that lasted as long as the provider would outlast this
        await conn.execute("SET LOCAL lock_timeout = '5s'")
        await conn.execute("SELECT 1 FROM session FOR UPDATE")
    answered.set()
    await one.close()
    assert provider.used == ["refresh-1"], "a refresh token is good once"
    newer = await one.current(cookie, old, clock.now() + timedelta(seconds=39))
    assert newer is not None
    assert newer.access_token == "after-refresh-1"
    assert newer.csrf == old.csrf


async def test_what_else_a_session_holds_outlives_a_renewal(lonely: Portal, clock: Clock) -> None:
    answered = asyncio.Event()

    async def hold() -> None:
        await answered.wait()

    one = renewing(lonely, FakeProvider(clock.now, hold=hold))
    cookie, old = await kept(lonely, clock, timedelta(seconds=40))
    await one.current(cookie, old, clock.now())
    signing = lonely.app.state.doors.signing
    await signing.break_glass(cookie, "ärende 17", clock.now(), person=None, search="göta")
    answered.set()
    await one.close()
    found = await signing.resume(cookie, clock.now(), active=True)
    assert found.glass.search == "göta"
    assert found.access_token == "after-refresh-1"


async def test_who_signs_out_meanwhile_stays_out(lonely: Portal, clock: Clock) -> None:
    answered = asyncio.Event()

    async def hold() -> None:
        await answered.wait()

    one = renewing(lonely, FakeProvider(clock.now, hold=hold))
    cookie, old = await kept(lonely, clock, timedelta(seconds=40))
    await one.current(cookie, old, clock.now())
    await lonely.app.state.doors.signing.end(cookie, None)
    answered.set()
    await one.close()
    assert await lonely.app.state.doors.signing.resume(cookie, clock.now(), active=True) is None


async def test_a_provider_that_is_away_is_left_alone_for_a_while(lonely: Portal, clock: Clock) -> None:
    provider = FakeProvider(clock.now, fails=ProviderUnavailable("x"))
    one = renewing(lonely, provider)
    cookie, old = await kept(lonely, clock, timedelta(seconds=5))
    for _ in range(3):
        found = await one.current(cookie, old, clock.now())
        assert found is not None
        assert found.access_token == "first"
    assert len(provider.used) == 1
    assert await one.current(cookie, old, clock.now() + timedelta(seconds=6)) is None


async def test_two_replicas_do_not_use_one_refresh_token_twice(lonely: Portal, clock: Clock) -> None:
    provider = FakeProvider(clock.now)
    replicas = [renewing(lonely, provider), renewing(lonely, provider)]
    cookie, old = await kept(lonely, clock, timedelta(seconds=40))
    await asyncio.gather(*(one.current(cookie, old, clock.now()) for one in replicas))
    for one in replicas:
        await one.close()
    assert provider.used == ["refresh-1"]


async def test_whom_the_provider_does_not_know_any_more_is_signed_out(lonely: Portal, clock: Clock) -> None:
    one = renewing(lonely, FakeProvider(clock.now, fails=SignInRefused("sign_in.refused")))
    cookie, old = await kept(lonely, clock, timedelta(seconds=5))
    assert await one.current(cookie, old, clock.now()) is None
    async with lonely.database.transaction() as conn:
        assert await lonely.app.state.doors.signing.sessions.find(conn, cookie) is None


async def test_another_token_is_given_for_one_that_was_refused(lonely: Portal, clock: Clock) -> None:
    one = renewing(lonely, FakeProvider(clock.now))
    cookie, old = await kept(lonely, clock, timedelta(minutes=50))
    found = await asyncio.gather(*(one.instead_of(cookie, old) for _ in range(4)))
    assert {each.access_token for each in found if each} == {"after-refresh-1"}
    again = await one.instead_of(cookie, old)
    assert again is not None, "a page that was slower gets what the others got"
    assert again.access_token == "after-refresh-1"
