"""The tree on a day as files: a table of units, a picture of them, and a page to print."""

from asyncio import to_thread
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.kernel.printing import pdf
from services.kernel.spreadsheet import CSV, table
from services.portal.api.door import Visit, entering
from services.portal.api.organisation.asking import as_file, day, whole_tree
from services.portal.api.organisation.drawing import picture
from services.portal.api.organisation.views import Called, Leader, Tree, Unit
from services.portal.api.pages import language_of
from services.portal.domain.answers import Part, Trouble

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("organisation:read"))]
Word = Annotated[str, Query(max_length=200)]
SVG = "image/svg+xml; charset=utf-8"
WITHHELD = "(withheld)"
HEADING = (
    "unit", "name", "kind", "parent", "path", "managers", "managerIds", "costCentre", "site", "mailDomain", "people",
    "problems",
)  # fmt: skip


@router.get("/organisation/tree.csv")
async def as_table(visit: Reader, on: Word = "", root: Word = "") -> Response:
    """Return the tree on a day as a table, a row a unit; leaders whom the reader may not see are withheld."""
    found = await whole_tree(visit, day(on), root)
    if found.value is None:
        return _trouble(visit, found)
    code = visit.doors.pages.formats(visit.request).code
    content = table(HEADING, rows(found.value, code))
    return as_file(content, CSV, f"organisation-{found.value.on}.csv")


@router.get("/organisation/tree.svg")
async def as_picture(visit: Reader, on: Word = "", root: Word = "") -> Response:
    """Return the tree on a day as a picture (SVG 2); what is too much for one is folded and counted."""
    found = await whole_tree(visit, day(on), root)
    if found.value is None:
        return _trouble(visit, found)
    drawn = visit.page("organisation/_picture.html", **_said(visit, found.value))
    return as_file(bytes(drawn.body).strip(), SVG, f"organisation-{found.value.on}.svg", shown=True)


@router.get("/organisation/tree.pdf")
async def as_document(visit: Reader, on: Word = "", root: Word = "") -> Response:
    """Return the picture as a document to keep or to print."""
    found = await whole_tree(visit, day(on), root)
    if found.value is None:
        return _trouble(visit, found)
    said = _said(visit, found.value)
    drawn = visit.page("organisation/_picture.html", **said)
    made = await to_thread(pdf, bytes(drawn.body).strip(), said["heading"], language_of(visit.request))
    return as_file(made, "application/pdf", f"organisation-{found.value.on}.pdf")


@router.get("/organisation/print")
async def to_print(visit: Reader, on: Word = "", root: Word = "") -> Response:
    """Show the picture on a page that is made for paper."""
    found = await whole_tree(visit, day(on), root)
    if found.value is None:
        return _trouble(visit, found)
    return visit.page("organisation/print.html", on=day(on), root=root, **_said(visit, found.value))


def rows(tree: Tree, code: Callable[[object], str]) -> Iterator[Sequence[str | int | None]]:
    """Yield the rows of the table; `code` gives a problem's words."""
    way: list[Unit] = []
    for one in tree.units:
        while way and way[-1].depth >= one.depth:
            way.pop()
        way.append(one)
        path = [*(above.name for above in tree.path[:-1]), *(unit.name for unit in way)]
        yield (
            one.unit, one.name, one.kind, one.parent, " / ".join(path),
            "; ".join(leader.name or WITHHELD for leader in one.leaders),
            " ".join(_id(leader) for leader in one.leaders),
            one.cost_centre, one.site, one.mail_domain, one.people,
            "; ".join(code(trouble) for trouble in one.problems),
        )  # fmt: skip


def _id(leader: Leader) -> str:
    return str(leader.person) if leader.person else WITHHELD


def _said(visit: Visit, tree: Tree) -> dict[str, Any]:
    """Return what the picture shows, and by which words."""
    top: Called | None = tree.path[-1] if tree.path else None
    organisation = visit.doors.pages.organisations[visit.session.organisation]
    return {
        "picture": picture(tree.units),
        "heading": top.name if top else organisation.name,
        "drawn_on": tree.on,
    }


def _trouble(visit: Visit, found: Part[Tree]) -> Response:
    return visit.trouble(found.trouble or Trouble("down", "orgtree", "service.unreachable"))
