"""What concerns many is done by who repeats how many they are."""

from services.kernel.problems import ProblemError


def confirm(said: int | None, count: int, code: str, what: str) -> None:
    """Go on where the number of people, findings or accounts concerned was said, and still is the same.

    Raises:
        ProblemError: 409 with `matches`, the number, when it was not said, or is another by now.
    """
    if said != count:
        raise ProblemError(
            409,
            code,
            "The number has to be confirmed",
            detail=f"{count} {what}. To do it, repeat with matches: {count}.",
            members={"matches": count},
        )
