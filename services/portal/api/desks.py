"""All desks, in the order of the navigation. A new one is a folder beside this file and a line here."""

from services.portal.api import (
    access,
    activation,
    acts,
    attention,
    audit,
    cases,
    commands,
    files,
    glass,
    identities,
    live,
    operations,
    organisation,
    people,
    policy,
    start,
    targets,
)

DESKS = (
    start.DESK,
    cases.DESK,
    people.DESK,
    organisation.DESK,
    attention.DESK,
    identities.DESK,
    files.DESK,
    targets.DESK,
    operations.DESK,
    policy.DESK,
    audit.DESK,
)

SHARED = (
    access.router,
    activation.router,
    activation.open_router,
    acts.router,
    commands.router,
    glass.router,
    live.router,
)
"""Routes that desks share, or that are open, and that have no place in the navigation."""

LARGER = {files.DESK.path: files.UPLOAD_LIMIT, **organisation.LARGER}
"""Bytes of a request's body where it may be larger than elsewhere."""
