"""A token issuer for development: `python -m deploy.local.issuer --organisation alvsund --scope "events:write"`.

Its key exists only on this machine. Whoever may read `.run/issuer/private.jwk` may be anybody; production trusts the
organisation's own identity provider instead.
"""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.server import write_private
from deploy.local.settings import ROOT, local_settings
from services.kernel.settings import load_organisations

ISSUER = "https://issuer.stafett.local"
AUDIENCE = "stafett"
ALL_SCOPES = (
    "accounts:activate",
    "events:write",
    "files:write",
    "identity:write",
    "erasure:write",
    "persons:read",
    "organisation:read",
    "organisation:write",
    "records:read",
    "cases:read",
    "commands:write",
    "operations:read",
    "operations:write",
    "policy:read",
    "policy:write",
    "targets:read",
    "targets:write",
    "audit:read",
    "scim:read",
    "scim:write",
)


class Issuer:
    """Signs tokens (RFC 9068 in spirit: ES256, `scope`, `organisation`) with a key of its own.

    Attributes:
        jwks: The file with the public key, which services read.
    """

    def __init__(self, folder: Path) -> None:
        self._private = folder / "private.jwk"
        self.jwks = folder / "jwks.json"

    def prepare(self) -> None:
        """Make the key once and write the public half."""
        if not self._private.exists():
            key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": secrets.token_hex(8)})
            write_private(self._private, json.dumps(key.as_dict(private=True)))
        if not self.jwks.exists():
            public = self._key().as_dict(private=False)
            # In one step: services may be reading it.
            new = self.jwks.with_suffix(".new")
            new.write_text(json.dumps({"keys": [public]}, indent=1))
            new.replace(self.jwks)

    def mint(
        self,
        organisation: str,
        scopes: Iterable[str],
        *,
        subject: str = "developer",
        lifetime: int = 3600,
        roles: Iterable[str] = (),
        person: str | None = None,
    ) -> str:
        """Sign a token.

        Args:
            organisation: For which organisation its bearer acts; there is no default.
            scopes: What it permits.
            subject: Who its bearer is.
            lifetime: Seconds until it expires; negative gives one that has expired.
            roles: Roles, if a service asks for them.
            person: The bearer's id among the organisation's people, if it has one.

        Returns:
            The compact JWT, for `Authorization: Bearer`.
        """
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "jti": secrets.token_hex(12),
            "scope": " ".join(scopes),
            "organisation": organisation,
        }
        if held := list(roles):
            claims["roles"] = held
        if person is not None:
            claims["person"] = person
        return self.sign(claims, lifetime, kind="at+jwt")

    def sign(self, claims: Mapping[str, object], lifetime: int, *, kind: str = "JWT") -> str:
        """Sign claims as they are, with the times added."""
        key = self._key()
        # The wall clock, not the business clock: validity of a token is not business time.
        now = int(time.time())
        dated = {**claims, "iat": min(now, now + lifetime), "exp": now + lifetime}
        return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": kind}, dated, key)

    def _key(self) -> ECKey:
        return ECKey.import_key(json.loads(self._private.read_text()))


def main() -> int:
    """Print a token; with --save also keep it where the `stafett` command looks for it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.issuer", description=main.__doc__)
    parser.add_argument("--organisation", required=True)
    parser.add_argument("--scope", default=" ".join(ALL_SCOPES), help="separated by spaces; default: all")
    parser.add_argument("--subject", default="developer")
    parser.add_argument("--role", action="append", default=[])
    parser.add_argument("--person", type=lambda text: str(UUID(text)), help="the bearer's id among the people")
    parser.add_argument("--ttl", type=int, default=3600, help="seconds")
    parser.add_argument("--expired", action="store_true", help="a token that has expired, to see it refused")
    parser.add_argument("--save", action="store_true", help="also write it where the stafett command looks")
    options = parser.parse_args()
    known = load_organisations(ROOT / "deploy" / "local" / "organisations.toml")
    if options.organisation not in known:
        print(f"There is no organisation {options.organisation}. There are: {', '.join(known)}", file=sys.stderr)
        return 2
    folder = local_settings().folder / "issuer"
    folder.mkdir(parents=True, exist_ok=True)
    issuer = Issuer(folder)
    issuer.prepare()
    lifetime = -3600 if options.expired else options.ttl
    token = issuer.mint(
        options.organisation,
        options.scope.split(),
        subject=options.subject,
        lifetime=lifetime,
        roles=options.role,
        person=options.person,
    )
    if options.save:
        write_private(folder / "token", token)
    print(token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
