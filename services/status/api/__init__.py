"""The status API: people, cases, what needs a hand, figures, commands."""

from fastapi import APIRouter

from services.status.api import audits, baseline, cases, commands, overview, persons, stream

router = APIRouter()
for _part in (persons, cases, overview, commands, audits, stream, baseline):
    router.include_router(_part.router)
