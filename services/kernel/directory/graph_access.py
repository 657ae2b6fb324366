"""Where Microsoft Graph is, who we are there, and the tokens that say so.

msal blocks and keeps what it was told: an answer of 400 for a minute, one of 429 or 5xx for its Retry-After. Its calls
run in a thread of their own, and an application object that has failed is thrown away with what it remembers.
"""

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msal
from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS
from msal.exceptions import MsalError

from services.kernel.directory.graph_answers import away, credentials_refused
from services.kernel.failures import Unavailable

EARLY = 300.0
"""Seconds before its end at which a token is replaced; a short-lived one after nine tenths of its life."""


@dataclass(frozen=True)
class GraphAccess:
    """Where Graph and its authority are and who we are there; `timeout` in seconds, for one call as a whole.

    `secret`, or `private_key` and `certificate` (PEM): what the application proves itself by. `writes` in `window`
    seconds is the published budget of one application in one tenant, `share` how much of it is ours: an application
    that several processes use divides it among them.
    """

    url: str
    authority: str
    client_id: str
    secret: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    certificate: str | None = None
    ca_file: str | None = None
    proxy: str | None = None
    timeout: float = 5.0
    connections: int = 16
    writes: int = 3_000
    window: float = 150.0
    share: float = 1.0

    @property
    def tls(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, with the host name checked; by the authorities of `ca_file`, else those of the system."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    @property
    def scope(self) -> str:
        """All that the application was granted at this Graph."""
        there = urlsplit(self.url)
        return f"{there.scheme}://{there.netloc}/.default"

    @property
    def credential(self) -> str | Mapping[str, str] | None:
        """As msal takes it; the thumbprint is msal's to compute (SHA-256)."""
        if self.private_key and self.certificate:
            return {"private_key": self.private_key, "public_certificate": self.certificate}
        return self.secret


class _Transport:
    """httpx2 as msal wants it (`msal.oauth2cli.http.HttpClient`): msal signs assertions as bytes, forms are text.

    msal's own client would let REQUESTS_CA_BUNDLE and HTTPS_PROXY overrule the settings.
    """

    def __init__(self, access: GraphAccess) -> None:
        self._client = httpx2.Client(
            verify=access.tls, proxy=access.proxy, trust_env=False, http2=False, timeout=access.timeout / 2
        )

    def post(self, url: str, *, data: Mapping[str, Any], **given: Any) -> httpx2.Response:
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in data.items()}
        return self._client.post(url, data=form, **given)

    def get(self, url: str, **given: Any) -> httpx2.Response:
        return self._client.get(url, **given)

    def close(self) -> None:
        self._client.close()


class Tokens:
    """The application's token, fetched when it is needed and kept until shortly before its end."""

    def __init__(self, access: GraphAccess) -> None:
        self._access = access
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graph-token")
        self._lock = asyncio.Lock()
        self._http = _Transport(access)
        self._application: msal.ConfidentialClientApplication | None = None
        self._token: str | None = None
        self._good_until = 0.0

    async def bearer(self) -> str:
        """Return a token that is good for now.

        Raises:
            Unavailable: The authority is away, or refuses us: that concerns everybody.
        """
        async with self._lock:
            loop = asyncio.get_running_loop()
            if self._token is not None and loop.time() < self._good_until:
                return self._token
            self._token, began = None, loop.time()
            try:
                token, lifetime = await loop.run_in_executor(self._thread, self._fetch)
            except RuntimeError as error:  # thread or client were closed meanwhile
                raise Unavailable("directory.closed") from error
            self._token, self._good_until = token, began + lifetime - min(EARLY, lifetime / 10)
            return token

    def forget(self, token: str | None = None) -> None:
        """Fetch a new one the next time: Graph no longer takes this one. A newer one than `token` is kept."""
        if token is None or self._token == token:
            self._token = None
            self._application = None

    def close(self) -> None:
        """Fetch no more; never waits."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def _fetch(self) -> tuple[str, float]:
        try:
            application = self._application or self._begin()
            answer = application.acquire_token_for_client([self._access.scope])
            lifetime = float(answer.get("expires_in", 0))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, TypeError, MsalError) as error:
            self._application = None
            raise away(error) from error
        if "access_token" not in answer:
            self._application = None
            raise credentials_refused(answer)
        self._application = application
        return str(answer["access_token"]), lifetime

    def _begin(self) -> msal.ConfidentialClientApplication:
        access = self._access
        known = urlsplit(access.authority).hostname in WELL_KNOWN_AUTHORITY_HOSTS
        return msal.ConfidentialClientApplication(
            access.client_id,
            client_credential=access.credential,
            authority=access.authority,
            instance_discovery=None if known else False,
            http_client=self._http,
        )
