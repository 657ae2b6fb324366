"""All desks, in the order of the navigation. A new one is a folder beside this file and a line here."""

from services.portal.api import (
    access,
    acts,
    attention,
    audit,
    cases,
    commands,
    glass,
    live,
    operations,
    people,
    policy,
    start,
)

DESKS = (start.DESK, cases.DESK, people.DESK, attention.DESK, operations.DESK, policy.DESK, audit.DESK)

SHARED = (access.router, acts.router, commands.router, glass.router, live.router)
"""Routes that desks share and that have no place in the navigation."""
