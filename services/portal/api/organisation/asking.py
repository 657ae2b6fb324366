"""What the organisation desk asks of orgtree, on all its pages."""

from datetime import date

from starlette.responses import Response

from services.portal.api.door import Visit
from services.portal.api.organisation.views import Tree
from services.portal.domain.answers import Part

API = "/v1/organisation"
DEEPEST = 6_000
"""As many levels as an organisation has units: all of it."""


def day(on: str) -> date | None:
    """Return the day in an address; what is no day is today."""
    try:
        return date.fromisoformat(on) if on else None
    except ValueError:
        return None


async def whole_tree(visit: Visit, on: date | None, root: str = "") -> Part[Tree]:
    """Return the tree on a day, all of it or all below a unit."""
    return await visit.ask.get(Tree, "orgtree", f"{API}/tree", on=on, root=root or None, depth=DEEPEST)


def as_file(content: bytes, kind: str, name: str, *, shown: bool = False) -> Response:
    """Return a file; `shown`: a browser may show it, and saves it by its name."""
    said = f'{"inline" if shown else "attachment"}; filename="{name}"'
    return Response(content, media_type=kind, headers={"Content-Disposition": said})
