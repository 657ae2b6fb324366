"""Whose tokens are let in: signature, issuer, audience, kind and time, also of a token that was seen before."""

import time
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from services.kernel.problems import ProblemError
from services.kernel.security import LEEWAY, Authenticator

ISSUER, AUDIENCE = "https://issuer.test", "stafett"


class Place:
    """Keys in a file, and an authenticator with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "jwks.json"
        self.key = self.publish()
        self.now = time.time()
        self.door = Authenticator(str(self.file), ISSUER, AUDIENCE, now=lambda: self.now)

    def publish(self) -> ECKey:
        """Replace all keys by a new one."""
        key = ECKey.generate_key("P-256", {"kid": f"k{time.monotonic_ns()}"})
        self.file.write_bytes(orjson.dumps(KeySet([key]).as_dict(private=False)))
        return key

    def token(self, key: Any = None, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        key = key or self.key
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "hr",
            "exp": int(time.time()) + 600,
            "organisation": "alvsund",
            "scope": "events:write",
        }
        return jwt.encode({"alg": "ES256", "kid": key.kid, **(header or {})}, {**said, **claims}, key)

    async def code(self, token: str) -> str:
        """Return the code of the refusal, or `ok`."""
        try:
            await self.door.principal(f"Bearer {token}")
        except ProblemError as error:
            return error.code
        return "ok"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({}, "ok"),
        ({"aud": ["stafett", "another"]}, "ok"),
        ({"iss": "https://elsewhere.test"}, "token.invalid"),
        ({"aud": "portal"}, "token.invalid"),
        ({"exp": int(time.time()) - 2 * LEEWAY}, "token.expired"),
        ({"nonce": "n"}, "token.invalid"),
        ({"nonce": "n", "typ": "Bearer"}, "ok"),
        ({"typ": "ID"}, "token.invalid"),
        ({"at_hash": "h"}, "token.invalid"),
        ({"organisation": None}, "token.organisation_missing"),
        ({"organisation": "Älvsund"}, "token.organisation_missing"),
    ],
)
async def test_claims_decide(place: Place, claims: dict[str, Any], code: str) -> None:
    token = place.token(**claims)
    assert await place.code(token) == code
    assert await place.code(token) == code, "a token that is known is judged as before"


MALIN = "3f0c5b52-7e0f-4f0e-9d2e-0c0d5c1f7a10"


@pytest.mark.parametrize(
    ("claims", "person"),
    [
        ({}, None),
        ({"person": MALIN}, UUID(MALIN)),
        ({"person": ""}, None),
        ({"person": "malin@alvsund.example"}, None),
        ({"person": [MALIN]}, None),
        ({"person": {"id": MALIN}}, None),
        ({"person": 7}, None),
    ],
)
async def test_a_token_may_say_who_its_bearer_is_and_what_is_no_id_says_nothing(
    place: Place, claims: dict[str, Any], person: UUID | None
) -> None:
    token = place.token(roles=["manager"], **claims)
    for _ in range(2):
        found = await place.door.principal(f"Bearer {token}")
        assert (found.person, found.roles) == (person, frozenset({"manager"}))


@pytest.mark.parametrize(("kind", "code"), [("at+jwt", "ok"), ("JWT", "ok"), ("logout+jwt", "token.invalid")])
async def test_only_access_tokens_come_in(place: Place, kind: str, code: str) -> None:
    assert await place.code(place.token(header={"typ": kind})) == code


async def test_a_token_that_says_that_it_is_an_access_token_may_have_a_nonce(place: Place) -> None:
    assert await place.code(place.token(header={"typ": "at+jwt"}, nonce="n")) == "ok"
    assert await place.code(place.token(header={"typ": "at+jwt"}, nonce="n", at_hash="h")) == "token.invalid"


async def test_signatures_that_are_not_the_issuers_are_refused(place: Place) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": str(place.key.kid)})
    assert await place.code(place.token(stranger)) == "token.invalid"
    shared = OctKey.import_key(orjson.dumps(place.key.as_dict(private=False)), {"kid": str(place.key.kid)})
    confused = jwt.encode({"alg": "HS256", "kid": shared.kid}, {"sub": "x"}, shared, algorithms=["HS256"])
    assert await place.code(confused) == "token.invalid"
    head, body, _ = place.token().split(".")
    assert await place.code(f"{head}.{body}.") == "token.invalid"


async def test_a_token_that_was_let_in_before_is_refused_when_its_time_is_over(place: Place) -> None:
    token = place.token()
    assert await place.code(token) == "ok"
    place.file.unlink()
    assert await place.code(token) == "ok", "neither keys nor signature are looked at again"
    place.now += 600 + 2 * LEEWAY
    assert await place.code(token) == "token.expired"


async def test_a_token_that_was_let_in_before_is_refused_when_its_key_is_withdrawn(place: Place) -> None:
    token = place.token()
    place.door = Authenticator(str(place.file), ISSUER, AUDIENCE, max_age=0.0)
    assert await place.code(token) == "ok"
    place.publish()
    assert await place.code(token) == "token.invalid"
