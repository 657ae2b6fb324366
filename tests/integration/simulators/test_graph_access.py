"""Who gets a token from the simulator, and what it opens."""

import base64
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from deploy.simulators.graph.seeds import AppSeed
from deploy.simulators.graph.service import Limits
from tests.support.graph import CLIENT, SCOPE, SECRET, TENANT, tenant_seed
from tests.support.graph_in_process import ROOT, Graph, error, graph_in_process, user_body

OTHER = "33333333-3333-4333-8333-333333333333"


class Signer:
    """A certificate, and assertions signed with its key."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stafett")])
        now = datetime.now(UTC)  # noqa: TID251 (validity of a certificate is not business time)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._key = RSAKey.import_key(private)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def form(self, *, alg: str = "RS256", digest: str = "x5t#S256", **claims: Any) -> dict[str, str]:
        kind = hashes.SHA256() if digest == "x5t#S256" else hashes.SHA1()  # noqa: S303 (what x5t is)
        thumbprint = base64.urlsafe_b64encode(self.certificate.fingerprint(kind)).decode().rstrip("=")
        now = time.time()
        good = {
            "aud": f"{ROOT}/{TENANT}/oauth2/v2.0/token",
            "iss": CLIENT,
            "sub": CLIENT,
            "jti": secrets.token_hex(8),
            "nbf": now,
            "exp": now + 600,
        }
        wanted = {name: value for name, value in {**good, **claims}.items() if value is not None}
        assertion = jwt.encode({"alg": alg, digest: thumbprint}, wanted, self._key, algorithms=[alg])
        return {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.mark.parametrize("alg", ["RS256", "PS256"])
@pytest.mark.parametrize("digest", ["x5t", "x5t#S256"])
async def test_a_signed_assertion_gives_a_token_once(signer: Signer, alg: str, digest: str) -> None:
    seed = tenant_seed(apps=(AppSeed(id=CLIENT, secrets=(SECRET,), certificates=(signer.pem,)),))
    async with graph_in_process(seed) as graph:
        form = signer.form(alg=alg, digest=digest)
        assert (await graph.token(form)).status_code == 200
        replayed = await graph.token(form)
        assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "https://elsewhere.example"}, 700023),
        ({"iss": OTHER}, 700021),
        ({"sub": OTHER}, 700021),
        ({"exp": time.time() - 3600}, 700024),
        ({"exp": None}, 700024),
        ({"nbf": time.time() + 3600}, 700024),
        ({"jti": None}, 700027),
        ({"alg": "RS512"}, 700027),
    ],
)
async def test_an_assertion_that_is_not_ours_now_is_refused(signer: Signer, claims: dict[str, Any], code: int) -> None:
    seed = tenant_seed(apps=(AppSeed(id=CLIENT, secrets=(SECRET,), certificates=(signer.pem,)),))
    async with graph_in_process(seed) as graph:
        refused = (await graph.token(signer.form(**claims))).json()
        assert (refused["error"], refused["error_codes"]) == ("invalid_client", [code])


async def test_an_assertion_by_another_key_under_our_thumbprint_is_refused(signer: Signer) -> None:
    stranger = Signer()
    stranger.certificate = signer.certificate
    seed = tenant_seed(apps=(AppSeed(id=CLIENT, secrets=(SECRET,), certificates=(signer.pem,)),))
    async with graph_in_process(seed) as graph:
        assert (await graph.token(stranger.form())).json()["error_codes"] == [700027]


@pytest.mark.parametrize(
    ("form", "status", "name", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": OTHER}, 400, "unauthorized_client", 700016),
        ({"grant_type": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "device_code"}, 400, "unsupported_grant_type", 70003),
        ({"scope": "User.Read"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://elsewhere.example/.default"}, 400, "invalid_resource", 500011),
    ],
)
async def test_a_wrong_request_is_answered_with_the_documented_code(
    near: Graph, form: dict[str, str], status: int, name: str, code: int
) -> None:
    own = {"grant_type": "client_credentials", "client_secret": SECRET, "scope": SCOPE}
    answer = await near.token({**own, **form})
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (status, name, [code])
    assert answer.json()["error_description"].startswith(f"AADSTS{code}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= set(answer.json())


async def test_an_unknown_tenant_has_no_tokens_and_no_metadata(near: Graph) -> None:
    assert (await near.token(tenant=OTHER)).json()["error_codes"] == [90002]
    assert (await near.http.get(f"{ROOT}/{OTHER}/v2.0/.well-known/openid-configuration")).status_code == 400


@pytest.mark.parametrize("header", ["", "Bearer made-up", "Basic x"])
async def test_graph_wants_a_token_of_its_own(near: Graph, header: str) -> None:
    refused = await near.http.get("/users", headers={"Authorization": header})
    assert error(refused) == (401, "InvalidAuthenticationToken")
    assert "WWW-Authenticate" in refused.headers


async def test_a_token_expires() -> None:
    async with graph_in_process(limits=Limits(token_lifetime=60)) as graph:
        assert (await graph.token()).json()["expires_in"] == 60
        assert (await graph.http.get("/users")).status_code == 200
        graph.service.world.clock.advance(61)
        assert error(await graph.http.get("/users")) == (401, "InvalidAuthenticationToken")
        await graph.renew()
        assert (await graph.http.get("/users")).status_code == 200


async def test_a_users_own_token_opens_nothing(near: Graph) -> None:
    await near.create()
    token = (await near.sign_in()).json()["access_token"]
    refused = await near.http.get("/users", headers={"Authorization": f"Bearer {token}"})
    assert error(refused) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize(
    ("role", "allowed", "denied"),
    [
        ("User.Read.All", [("GET", "/users")], [("POST", "/users"), ("GET", "/groups"), ("GET", "/subscribedSkus")]),
        ("Directory.Read.All", [("GET", "/users"), ("GET", "/groups")], [("POST", "/users"), ("POST", "/groups")]),
        ("GroupMember.ReadWrite.All", [("GET", "/groups")], [("POST", "/groups"), ("PATCH", "/users/x")]),
        ("Group.ReadWrite.All", [("GET", "/groups")], [("GET", "/users"), ("GET", "/directory/administrativeUnits")]),
    ],
)
async def test_the_app_roles_decide(role: str, allowed: list[tuple[str, str]], denied: list[tuple[str, str]]) -> None:
    async with graph_in_process(tenant_seed(apps=(AppSeed(id=CLIENT, secrets=(SECRET,), roles=(role,)),))) as graph:
        for method, path in allowed:
            assert (await graph.http.request(method, path)).status_code == 200
        for method, path in denied:
            refused = await graph.http.request(method, path, json=user_body())
            assert error(refused) == (403, "Authorization_RequestDenied"), (method, path)


async def test_a_password_needs_a_permission_of_its_own() -> None:
    apps = (AppSeed(id=CLIENT, secrets=(SECRET,), roles=("User.ReadWrite.All",)),)
    async with graph_in_process(tenant_seed(apps=apps)) as graph:
        anna = await graph.create()
        refused = await graph.http.patch(f"/users/{anna}", json={"passwordProfile": {"password": "Ett-nytt-2027"}})
        assert error(refused) == (403, "Authorization_RequestDenied")
        assert (await graph.sign_in()).status_code == 200


async def test_a_tenants_token_sees_nothing_of_another(near: Graph) -> None:
    seed = tenant_seed(id=OTHER, name="Bergby", domains=("bergby.example",))
    assert (await near.control.post("/control/tenants", json=seed.model_dump(mode="json"))).status_code == 200
    anna = await near.create()
    own = {"grant_type": "client_credentials", "client_secret": SECRET, "scope": SCOPE}
    other = (await near.token(own, tenant="bergby.example")).json()
    headers = {"Authorization": f"Bearer {other['access_token']}"}
    assert (await near.http.get(f"/users/{anna}", headers=headers)).status_code == 404
    assert (await near.http.get("/users", headers=headers)).json()["value"] == []
