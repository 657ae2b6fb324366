"""The simulator as a real client meets it: TLS, msal with a secret and with a certificate."""

import datetime
from dataclasses import dataclass

import httpx2
import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from deploy.simulators.graph.seeds import AppSeed
from tests.support.graph import CLIENT, DOMAIN, SCOPE, SECRET, TENANT, GraphSimulator, tenant_seed

ANNA = {
    "accountEnabled": True,
    "displayName": "Anna Berg",
    "mailNickname": "anna.berg",
    "userPrincipalName": f"anna.berg@{DOMAIN}",
    "passwordProfile": {"password": "Hemligt-2026", "forceChangePasswordNextSignIn": False},
}


@dataclass(frozen=True)
class Pair:
    """A key with its certificate, as PEM."""

    key: str
    certificate: str


@pytest.fixture(scope="module")
def pair() -> Pair:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stafett")])
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 (validity of a certificate is not business time)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(secret.decode(), certificate.public_bytes(pem).decode())


def client(graph: GraphSimulator, credential: object) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        CLIENT,
        authority=f"{graph.url}/{TENANT}",
        client_credential=credential,
        instance_discovery=False,
        http_client=graph.session(),
    )


def test_a_secret_gives_a_token_that_opens_graph(graph: GraphSimulator) -> None:
    token = client(graph, SECRET).acquire_token_for_client([SCOPE])
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    with httpx2.Client(base_url=f"{graph.url}/v1.0", headers=headers, verify=graph.trust()) as http:
        made = http.post("/users", json=ANNA)
        assert made.status_code == 201
        assert http.get(f"/users/{made.json()['id']}").json()["displayName"] == "Anna Berg"
    assert [one["changes"] for one in graph.log(change="user.created")] == [[f"user.created:{made.json()['id']}"]]


def test_a_wrong_secret_gives_invalid_client(graph: GraphSimulator) -> None:
    refused = client(graph, "wrong").acquire_token_for_client([SCOPE])
    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [7000215])


def test_a_registered_certificate_gives_a_token(graph: GraphSimulator, pair: Pair) -> None:
    graph.reset(tenant_seed(apps=(AppSeed(id=CLIENT, certificates=(pair.certificate,)),)))
    credential = {"private_key": pair.key, "public_certificate": pair.certificate}
    assert "access_token" in client(graph, credential).acquire_token_for_client([SCOPE])


def test_an_unregistered_certificate_gives_invalid_client(graph: GraphSimulator, pair: Pair) -> None:
    refused = client(graph, {"private_key": pair.key, "public_certificate": pair.certificate}).acquire_token_for_client(
        [SCOPE]
    )
    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [700027])


@pytest.mark.parametrize("certificate", ["stranger", "expired"])
def test_a_wrong_tls_certificate_is_refused_by_the_client(graph: GraphSimulator, certificate: str) -> None:
    graph.listen(certificate=certificate)
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx2.get(f"{graph.url}/v1.0/users", verify=graph.trust())


def test_a_closed_port_refuses_connections_and_opens_again(graph: GraphSimulator) -> None:
    graph.listen(open_port=False)
    with pytest.raises(httpx2.ConnectError, match="refused"):
        httpx2.get(f"{graph.url}/v1.0/users", verify=graph.trust())
    graph.listen()
    assert httpx2.get(f"{graph.url}/v1.0/users", verify=graph.trust()).status_code == 401


def test_a_user_logs_in_only_with_the_right_password(graph: GraphSimulator) -> None:
    token = client(graph, SECRET).acquire_token_for_client([SCOPE])["access_token"]
    httpx2.post(
        f"{graph.url}/v1.0/users", json=ANNA, headers={"Authorization": f"Bearer {token}"}, verify=graph.trust()
    ).raise_for_status()
    assert graph.sign_in(str(ANNA["userPrincipalName"]), "Hemligt-2026").status_code == 200
    assert graph.sign_in(str(ANNA["userPrincipalName"]), "wrong").json()["error_codes"] == [50126]
