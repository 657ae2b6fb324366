"""What the forms of the desk have in common. Pure but for reading the request."""

from starlette.responses import Response

from services.portal.api.door import Visit
from services.portal.domain.answers import Trouble

MOST_DIGITS = 10


async def given(visit: Visit, *names: str) -> dict[str, str]:
    """Return what was written in fields."""
    form = await visit.request.form()
    return {name: str(form.get(name) or "").strip() for name in names}


def number(text: str) -> dict[str, int]:
    """Return the number that was repeated, if it is one.

    No field is called `matches`: it would hide the method of that name that scripts call on a form.
    """
    return {"matches": int(text)} if text.isdecimal() and len(text) < MOST_DIGITS else {}


def dialog(
    visit: Visit,
    name: str,
    target: str,
    written: dict[str, str],
    address: str,
    *,
    wrong: str | None = None,
    trouble: Trouble | None = None,
    desk: str = "targets",
    **values: object,
) -> Response:
    """Show a form in the dialog, or as a page of its own where there is no script; `address`: where it leads back to.

    A number that has to be confirmed is no trouble: it is asked for.
    """
    counted = trouble is not None and trouble.matches is not None
    return visit.page(
        f"{desk}/_{name}.html" if visit.partial else f"{desk}/{name}.html",
        # htmx puts only answers of success into the page
        status=422 if (wrong or trouble) and not visit.partial else 200,
        target=target,
        given=written,
        wrong=wrong,
        trouble=None if counted else trouble,
        count=trouble.matches if trouble else None,
        address=address,
        **values,
    )
