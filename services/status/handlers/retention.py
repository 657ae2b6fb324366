"""Keeping house: what has been kept long enough is forgotten, every hour."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Database
from services.status.store import retention as store

log = telemetry.get_logger(__name__)

LOOK_SECONDS = 3600.0


@dataclass(frozen=True)
class Retention:
    """How long the audit and the commands of these organisations are kept, in days."""

    database: Database
    organisations: Iterable[str]
    audit_days: int
    command_days: int

    async def run(self) -> None:
        """Keep house until cancelled."""
        while True:
            try:
                await self.database.wait()
                await self.forget()
            except TRANSIENT as error:
                log.warning("retention.interrupted", cause=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def forget(self) -> None:
        """Forget all that is old enough now, each portion in a transaction of its own."""
        for organisation in self.organisations:
            for forget, days in (
                (store.forget_audit, self.audit_days),
                (store.forget_commands, self.command_days),
            ):
                while True:
                    async with self.database.transaction() as conn:
                        if await forget(conn, organisation, days) < store.AT_ONCE:
                            break
