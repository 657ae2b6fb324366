"""Sign-in against a certified provider: code flow with PKCE, cookies, CSRF, rotation, renewal, endings."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import psycopg
import pytest

from services.portal.bootstrap import Portal
from services.portal.domain.sessions import Session, stored_id
from services.portal.ports import SignInRefused
from tests.integration.portal.conftest import Clock, Real, Surfer, settings


async def session_of(portal: Portal, cookie: str | None) -> Session | None:
    assert cookie is not None
    signing = portal.app.state.doors.signing
    async with portal.database.transaction() as conn:
        found = await signing.sessions.find(conn, cookie)
    return found if isinstance(found, Session) else None


async def test_the_code_flow_with_pkce_signs_a_person_in(portal: Portal, surfer: Surfer, admin_url: str) -> None:
    stranger = await surfer.get("/cases?state=done")
    assert stranger.status_code == 303
    assert stranger.headers["location"] == "/sign-in?next=%2Fcases%3Fstate%3Ddone"
    answer = await surfer.sign_in("Disa:alvsund:operations", "/cases?state=done")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/cases?state=done"
    (cookie,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith("stafett=")]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    page = await surfer.get("/")
    assert page.status_code == 200
    assert "Disa" in page.text
    assert "Älvsunds kommun" in page.text
    assert "Tracking does not answer" in page.text, "a part is away, the page is there"

    session = await session_of(portal, surfer.cookie)
    assert session is not None
    assert session.roles == ("operations",)
    assert "commands:write" in session.scopes
    told = page.text + str(page.headers) + str(answer.headers)
    for token in (session.access_token, session.refresh_token, session.id_token, session.csrf):
        assert token is not None
        assert token not in told, "no browser ever sees a token"
    with psycopg.connect(admin_url) as conn:
        stored = conn.execute("SELECT id, body FROM portal.session").fetchall()
    assert [bytes(row[0]) for row in stored] == [stored_id(surfer.cookie or "")]
    assert session.access_token.encode() not in bytes(stored[0][1])


async def test_a_code_is_good_once_and_for_the_browser_that_asked(portal: Portal, surfer: Surfer) -> None:
    callback = await surfer.to_callback("Disa:alvsund:operations")
    thief = Surfer(portal)
    stolen = await thief.get(callback)
    assert stolen.status_code == 403
    assert thief.cookie is None
    forged = callback.replace("state=", "state=x")
    assert (await surfer.get(forged)).status_code == 403
    assert surfer.cookie is None
    # a forged answer does not end the sign-in that it was meant to disturb
    assert (await surfer.get(callback)).status_code == 303
    first = surfer.cookie
    assert (await surfer.get(callback)).status_code == 303, "who is signed in goes on"
    assert surfer.cookie == first, "the code was good once"
    surfer.client.cookies.clear()
    assert (await surfer.get(callback)).status_code == 403
    await thief.client.aclose()


async def test_two_tabs_sign_in_and_both_get_in(portal: Portal, surfer: Surfer) -> None:
    first = await surfer.to_callback("Disa:alvsund:operations", "/cases")
    begun = (await surfer.get("/sign-in", params={"next": "/people"})).headers["location"]
    answer = await surfer.get(first)
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases")
    token = await surfer.csrf()
    where = begun
    while not where.startswith(f"{surfer.url}/sign-in/callback"):
        where = str(httpx2.URL(portal.settings.oidc_issuer).join((await surfer.get(where)).headers["location"]))
    second = await surfer.get(where)
    assert (second.status_code, second.headers["location"]) == (303, "/people")
    assert (await surfer.get("/people")).status_code == 200
    kept = await surfer.post("/preferences", data={"csrf": token, "theme": "dark"})
    assert kept.status_code == 303, "the first tab's page goes on working"


async def test_a_stranger_leaves_nothing_in_the_database(surfer: Surfer, admin_url: str) -> None:
    for _ in range(8):
        assert (await surfer.get("/sign-in")).status_code == 303
    with psycopg.connect(admin_url) as conn:
        assert conn.execute("SELECT count(*) FROM portal.session").fetchone() == (0,)
    begun = [one.name for one in surfer.client.cookies.jar if one.name.startswith("stafett-sign-in-")]
    assert 1 <= len(begun) <= 5, "nor does it fill its own requests with cookies"


async def test_a_wrong_verifier_or_nonce_is_refused(portal: Portal, surfer: Surfer) -> None:
    oidc = portal.app.state.doors.signing.provider
    code = parse_qs(urlsplit(await surfer.to_callback("Disa:alvsund:operations")).query)["code"][0]
    with pytest.raises(SignInRefused, match=r"sign_in\.refused"):
        await oidc.redeem(code, nonce="n", verifier="v" * 43)
    verifier = "w" * 64
    url = await oidc.authorization_url(state="s", nonce="theirs", verifier=verifier, language="sv")
    # the provider knows this browser by now, and sends it straight back
    where = (await surfer.get(url)).headers["location"]
    while not where.startswith(surfer.url):
        where = str(httpx2.URL(portal.settings.oidc_issuer).join((await surfer.get(where)).headers["location"]))
    code = parse_qs(urlsplit(where).query)["code"][0]
    with pytest.raises(SignInRefused, match=r"sign_in\.id_token"):
        await oidc.redeem(code, nonce="ours", verifier=verifier)


async def test_the_session_gets_a_new_id_at_every_sign_in(portal: Portal, surfer: Surfer) -> None:
    await surfer.sign_in()
    first = surfer.cookie
    await surfer.sign_in()
    assert surfer.cookie not in {first, None}
    assert await session_of(portal, first) is None, "the old id opens nothing any more"


async def test_an_unsafe_request_needs_the_token_of_our_own_page(portal: Portal, surfer: Surfer) -> None:
    await surfer.sign_in()
    token = await surfer.csrf()
    for options in (
        {},
        {"data": {"csrf": "x" * 88}},
        {"data": {"csrf": token[:-4] + "AAA="}},
        {"data": {"csrf": token}, "headers": {"Origin": "https://elsewhere.example"}},
    ):
        for path in ("/sign-out", "/act", "/glass", "/preferences", "/policy/activate", "/policy/activate"):
            assert (await surfer.post(path, **options)).status_code == 403, (path, options)
    assert (await surfer.get("/people")).status_code == 200, "still signed in"
    other = Surfer(portal)
    await other.sign_in()
    assert (await surfer.post("/sign-out", data={"csrf": await other.csrf()})).status_code == 403, "another's token"
    assert (await surfer.post("/preferences", data={"csrf": token, "theme": "dark"})).status_code == 303
    assert (await surfer.post("/preferences", headers={"X-CSRF-Token": token})).status_code == 303
    await other.client.aclose()


async def test_signing_out_ends_it_here_and_at_the_provider(portal: Portal, surfer: Surfer, provider: Real) -> None:
    await surfer.sign_in()
    cookie = surfer.cookie
    out = await surfer.post("/sign-out", data={"csrf": await surfer.csrf()})
    assert out.status_code == 303
    assert out.headers["location"].startswith(f"{provider.issuer}/session/end?")
    assert surfer.cookie is None
    assert await session_of(portal, cookie) is None
    policy = out.headers["content-security-policy"]
    assert f"form-action 'self' {provider.issuer}" in policy


async def test_an_ended_session_leads_to_sign_in(surfer: Surfer, admin_url: str) -> None:
    for ending in ("expires_at = now()", "seen_at = now() - interval '2 hours'"):
        await surfer.sign_in()
        assert (await surfer.get("/people")).status_code == 200
        with psycopg.connect(admin_url) as conn:
            conn.execute(f"UPDATE portal.session SET {ending}".encode())
        gone = await surfer.get("/people?q=x")
        assert (gone.status_code, gone.headers["location"]) == (303, "/sign-in?next=%2Fpeople%3Fq%3Dx")
        page = {"HX-Request": "true", "HX-Current-URL": f"{surfer.url}/cases?state=done"}
        part = await surfer.get("/people", headers=page)
        assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in?next=%2Fcases%3Fstate%3Ddone")
        elsewhere = await surfer.get("/people", headers={**page, "HX-Current-URL": "https://evil.example/x"})
        assert elsewhere.headers["hx-redirect"] == "/sign-in"

        poll = await surfer.get("/parts/today", headers={**page, "Stafett-Poll": "1"})
        assert poll.status_code == 200
        assert "hx-redirect" not in poll.headers, "an unattended screen signs nobody in again"
        assert (poll.headers["hx-retarget"], poll.headers["hx-reswap"]) == ("#main", "innerHTML")
        assert 'class="signed-out"' in poll.text
        assert 'href="/sign-in?next=%2Fcases%3Fstate%3Ddone"' in poll.text
        figures = await surfer.get("/operations/lines", headers={"Stafett-Poll": "1"})
        assert (figures.status_code, figures.text) == (204, "")
        assert (await surfer.get("/live")).status_code == 204, "the stream does not come back"
        out = await surfer.post("/sign-out", data={"csrf": "x"})
        assert (out.status_code, out.headers["location"]) == (303, "/signed-out")


async def test_a_page_that_asks_by_itself_does_not_keep_the_session(surfer: Surfer, admin_url: str) -> None:
    await surfer.sign_in()

    def seen() -> object:
        with psycopg.connect(admin_url) as conn:
            return conn.execute("SELECT seen_at FROM portal.session").fetchone()

    with psycopg.connect(admin_url) as conn:
        conn.execute("UPDATE portal.session SET seen_at = now() - interval '50 minutes'")
    before = seen()
    assert (await surfer.get("/live")).status_code == 200
    assert (await surfer.get("/parts/today", headers={"Stafett-Poll": "1"})).status_code == 200
    assert seen() == before
    # a button within a part that polls says so with an empty header
    assert (await surfer.get("/parts/today", headers={"Stafett-Poll": ""})).status_code == 200
    assert seen() != before


async def test_tokens_are_renewed_before_they_end_and_the_session_with_the_person(
    portal: Portal, surfer: Surfer, clock: Clock, provider: Real
) -> None:
    await surfer.sign_in()
    first = await session_of(portal, surfer.cookie)
    clock.ahead = timedelta(seconds=30)
    assert (await surfer.get("/people")).status_code == 200, "with the old token, while it lasts"
    await portal.app.state.doors.signing.renewing.close()
    second = await session_of(portal, surfer.cookie)
    assert first is not None
    assert second is not None
    assert second.access_token != first.access_token
    assert second.refresh_token != first.refresh_token, "the provider rotates it"
    assert second.csrf == first.csrf, "open pages go on working"

    provider.process.kill()
    provider.process.wait()
    assert (await surfer.get("/people")).status_code == 200, "the token is good for a while"
    clock.ahead = timedelta(seconds=120)
    assert (await surfer.get("/people")).status_code == 303
    away = await surfer.get("/sign-in")
    assert away.status_code == 303 or (away.status_code == 503 and "does not answer" in away.text)


@pytest.mark.parametrize("who", ["Eva:nowhere:operations", "Eva::operations"])
async def test_an_organisation_that_is_not_served_is_no_sign_in(who: str, surfer: Surfer) -> None:
    answer = await surfer.sign_in(who)
    assert answer.status_code == 403
    assert surfer.cookie is None


async def test_roles_and_organisation_come_from_the_token_alone(portal: Portal, surfer: Surfer) -> None:
    await surfer.sign_in("Bo:bergby:it_read+emperor")
    session = await session_of(portal, surfer.cookie)
    assert session is not None
    assert session.organisation == "bergby"
    assert session.scopes == {"persons:read", "cases:read", "organisation:read", "policy:read", "targets:read"}
    assert (await surfer.get("/operations")).status_code == 403
    assert "Bergby räddningsförbund" in (await surfer.get("/")).text


async def test_nobody_is_sent_elsewhere_after_sign_in(surfer: Surfer) -> None:
    for following in ("https://evil.example/", "//evil.example", "/\\evil.example", "/\nx"):
        assert (await surfer.sign_in(following=following)).headers["location"] == "/"


async def test_cookies_are_for_tls_where_the_portal_is(provider: Real, admin_url: str, tmp_path: Path) -> None:
    found = Portal(settings(admin_url, provider.issuer, provider.jwks, "https://portal.example"))
    await found.open()
    surfer = Surfer(found)
    answer = await surfer.get("/sign-in")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-stafett-sign-in-")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"))
    assert answer.headers["strict-transport-security"]
    await surfer.client.aclose()
    await found.close()


async def test_every_answer_forbids_frames_and_scripts_of_others(surfer: Surfer) -> None:
    await surfer.sign_in()
    for path in ("/", "/people", "/nowhere", "/signed-out", "/static/app.js", "/cases/not-a-uuid"):
        answer = await surfer.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert " style=" not in answer.text
        assert "<script>" not in answer.text
