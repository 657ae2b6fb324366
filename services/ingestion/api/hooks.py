"""Signed webhooks (Standard Webhooks 1.0): an HMAC over id, time and body tells which source it is.

A signature is good for five minutes around its time; within them a repeated delivery is a duplicate by its event ids.
"""

from base64 import b64decode
from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from services.ingestion.api.body import BODY_LIMIT
from services.ingestion.handlers.reception import Sender
from services.kernel import telemetry
from services.kernel.problems import ProblemError
from services.kernel.settings import OrganisationSettings

log = telemetry.get_logger(__name__)

SHORTEST = 24
"""Bytes of a secret (Standard Webhooks 1.0, "Signature scheme")."""

HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
MALFORMED = (ValueError, TypeError, OverflowError)
"""What the library raises of headers and bodies that are not even formed; binascii.Error is a ValueError."""


class HooksRefused(Exception):
    """The secrets of hooks cannot be used; the message names the line, never what stands in it."""


class Hooks:
    """Knows each hook's source and secrets.

    Raises:
        HooksRefused: A line is malformed, names no hook of a source, or a hook has no secret.
    """

    def __init__(self, secrets: str, organisations: Mapping[str, OrganisationSettings]) -> None:
        self._senders = {
            agreed.hook: Sender(f"hook:{agreed.hook}", settings, source)
            for settings in organisations.values()
            for source, agreed in settings.agreed.items()
            if agreed.hook
        }
        self._signed: dict[str, list[Webhook]] = {hook: [] for hook in self._senders}
        for number, line in enumerate(secrets.splitlines(), 1):
            hook, _, secret = line.strip().partition(" ")
            if not hook:
                continue
            if hook not in self._signed:
                raise HooksRefused(f"hook secrets, line {number}: no source has this hook")
            try:
                key = b64decode(secret.strip().removeprefix("whsec_"), validate=True)
            except ValueError:
                raise HooksRefused(f"hook secrets, line {number}: the secret is not base64") from None
            if len(key) < SHORTEST:
                raise HooksRefused(f"hook secrets, line {number}: the secret has fewer than {SHORTEST} bytes")
            self._signed[hook].append(Webhook(key))
        if bare := sorted(hook for hook, signed in self._signed.items() if not signed):
            raise HooksRefused(f"hook secrets: {bare[0]} has none")

    def expected(self, hook: str, headers: Mapping[str, str]) -> int:
        """Return how many bytes a delivery may have, before any of them is read.

        Raises:
            ProblemError: 401, it could not be signed whatever the bytes are.
        """
        if hook not in self._senders or not all(headers.get(name) for name in HEADERS):
            raise _refused()
        sender = self._senders[hook]
        return min(BODY_LIMIT, sender.settings.agreed[sender.source or ""].body_bytes or BODY_LIMIT)

    def sender(self, hook: str, body: bytes, headers: Mapping[str, str]) -> Sender:
        """Return who has signed the body.

        Raises:
            ProblemError: 401, not signed with a secret of this hook, too old, too new, or there is no such hook: which
                of them it was is told to nobody but the log.
        """
        for signed in self._signed.get(hook, ()):
            try:
                signed.verify(body, {**headers}, json_parse=False)
            except WebhookVerificationError as error:
                log.info("hook.refused", cause=str(error))
            except MALFORMED as error:
                log.info("hook.refused", cause=type(error).__name__)
            else:
                return self._senders[hook]
        raise _refused()


def _refused() -> ProblemError:
    return ProblemError(
        401,
        "signature.invalid",
        "The signature is not valid here",
        detail="Sign id, time and body as Standard Webhooks 1.0 says, with this hook's secret, and send at once.",
        headers={"WWW-Authenticate": "Webhook-Signature"},
    )
