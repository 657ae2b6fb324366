"""The status API: people, cases, what needs a hand, figures, commands."""

from fastapi import APIRouter

from services.status.api import audits, cases, commands, overview, persons, stream

router = APIRouter()
for _part in (persons.router, cases.router, overview.router, commands.router, audits.router, stream.router):
    router.include_router(_part)
