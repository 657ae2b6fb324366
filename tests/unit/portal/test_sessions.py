"""What sessions are made of: masks that differ, paths that stay here, glass that mends."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.clock import UTC
from services.portal.domain.sessions import (
    Glass,
    Session,
    local_path,
    login_cookie,
    masked,
    new_csrf,
    new_id,
    stored_id,
    unmasks_to,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_a_mask_hides_the_secret_and_gives_it_back() -> None:
    csrf = new_csrf()
    shown = {masked(csrf) for _ in range(20)}
    assert len(shown) == 20, "compression finds nothing that repeats"
    assert all(unmasks_to(one, csrf) for one in shown)
    assert not any(unmasks_to(one, new_csrf()) for one in shown)


@given(st.text(max_size=120))
def test_no_other_text_unmasks(text: str) -> None:
    assert not unmasks_to(text, "ab" * 32)


def test_the_database_does_not_know_the_cookie() -> None:
    cookie = new_id()
    assert cookie.encode() not in stored_id(cookie)
    assert stored_id(cookie) == stored_id(cookie) != stored_id(new_id())


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (None, "/"),
        ("", "/"),
        ("/cases?state=done", "/cases?state=done"),
        ("cases", "/"),
        ("//elsewhere", "/"),
        ("/\\elsewhere", "/"),
        ("https://elsewhere", "/"),
        ("/x\r\nSet-Cookie: a", "/"),
    ],
)
def test_a_path_stays_in_the_portal(wanted: str | None, path: str) -> None:
    assert local_path(wanted) == path


def test_each_sign_in_has_a_cookie_of_its_own_that_does_not_tell_its_state() -> None:
    state = new_id()
    assert login_cookie("stafett", state) == login_cookie("stafett", state) != login_cookie("stafett", new_id())
    assert state not in login_cookie("stafett", state)


def test_broken_glass_mends_by_itself() -> None:
    glass = Glass(reason="ärende 17", until=NOW + timedelta(minutes=15))
    session = Session(
        subject="h",
        name="Hanna",
        organisation="alvsund",
        roles=("hr",),
        scopes=frozenset(),
        access_token="a",
        access_until=NOW,
        refresh_token=None,
        id_token="i",
        csrf=new_csrf(),
        glass=glass,
    )
    assert session.glass_at(NOW) == glass
    assert session.glass_at(glass.until) is None
    assert session.model_copy(update={"glass": None}).glass_at(NOW) is None
