"""A part of a page: whatever a service answers, the page is there; a token that is refused is renewed once."""

import pytest

from services.kernel.security import RIGHTS
from services.portal.domain.answers import Refused, TokenRefused, Unreachable
from services.portal.domain.work import View
from services.portal.handlers.asking import Asking
from services.portal.ports import Bearer
from tests.support.portal import Answer, FakeApi


class Shape(View):
    """What is asked for."""

    name: str


def asking(answer: Answer, newer: str | None = None) -> tuple[Asking, FakeApi]:
    api = FakeApi({("GET", "/x"): answer, ("POST", "/x"): answer})

    async def renewed() -> str | None:
        return newer

    return Asking(api, Bearer("old"), renewed), api


def taking(token: str) -> Answer:
    def answer(bearer: Bearer) -> dict[str, str]:
        if bearer.token != token:
            raise Refused(401, "token.expired", "t")
        return {"name": "Anna"}

    return answer


@pytest.mark.parametrize(
    ("answer", "get", "post"),
    [
        (Unreachable("status"), "down", "unknown"),
        (Refused(503, "keys.unavailable", "t"), "down", "unknown"),
        (Refused(403, "scope.missing", "t"), "denied", "denied"),
        (Refused(404, "person.unknown", "t"), "missing", "missing"),
        (Refused(409, "command.confirm", "t"), "refused", "refused"),
        ({"nome": "Anna"}, "down", "unknown"),
        (RuntimeError("anything at all"), "down", "unknown"),
    ],
)
async def test_whatever_a_service_answers_is_a_part(answer: Answer, get: str, post: str) -> None:
    ask, _ = asking(answer)
    looked, changed = await ask.get(Shape, "status", "/x"), await ask.post(Shape, "status", "/x", {})
    counted = await ask.post(Shape, "status", "/x", {}, changes=False)
    kinds = [part.trouble.kind if part.trouble else None for part in (looked, changed, counted)]
    assert kinds == [get, post, get]


async def test_a_refused_token_is_renewed_once() -> None:
    ask, api = asking(taking("new"), newer="new")
    found = await ask.get(Shape, "status", "/x")
    assert found.value == Shape(name="Anna")
    assert [call.bearer.token for call in api.calls] == ["old", "new"]


@pytest.mark.parametrize("newer", [None, "also old"])
async def test_whose_token_nobody_takes_must_sign_in(newer: str | None) -> None:
    ask, api = asking(taking("new"), newer=newer)
    with pytest.raises(TokenRefused):
        await ask.get(Shape, "status", "/x")
    assert len(api.calls) == (1 if newer is None else 2)


def test_only_some_may_give_a_reason() -> None:
    assert [role for role, scopes in RIGHTS.items() if "persons:break_glass" in scopes] == ["hr"]
