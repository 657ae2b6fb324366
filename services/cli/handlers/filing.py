"""Files of an HR system at ingestion: handed in, followed until they wait or are done."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from services.cli.ports import Api, JsonObject

PATH = "/v1/files"
CHUNK = 1 << 16
SETTLED = frozenset({"planned", "done", "refused"})
"""States in which nothing happens by itself."""


def hand_in(api: Api, path: Path, advance: Callable[[int], None], **said: str | None) -> JsonObject:
    """Upload a file to be planned, and return how it stands; `advance` is told the bytes that are on their way.

    `said`: source, kind, made and baseline, as the API takes them.
    """
    with path.open("rb") as file:
        return api.upload(PATH, _read(file, advance), plan="true", name=path.name, **said)


def _read(file: BinaryIO, advance: Callable[[int], None]) -> Iterator[bytes]:
    while content := file.read(CHUNK):
        yield content
        advance(len(content))


def watch(
    api: Api, file: str, sleep: Callable[[float], None], interval: float, *, over: bool = False
) -> Iterator[JsonObject]:
    """Yield how a file stands until it waits for somebody or is done; `over`: a plan is behind it."""
    while True:
        found = api.get(f"{PATH}/{file}")
        yield found
        if found["state"] in SETTLED and not (over and found["state"] == "planned"):
            return
        sleep(interval)


def decide(api: Api, file: str, verb: str, reason: str, persons: Sequence[str]) -> JsonObject:
    """Release or refuse those who are held, all of them unless some are named by the source's ids."""
    return api.post(f"{PATH}/{file}/{verb}", {"reason": reason, **({"persons": list(persons)} if persons else {})})


def people(api: Api, file: str, limit: int) -> list[JsonObject]:
    """Return the first people of a plan, at most `limit`."""
    found: list[JsonObject] = []
    after = "0"
    while len(found) < limit:
        size = min(500, limit - len(found))
        page = api.get(f"{PATH}/{file}/persons", after=after, limit=size)
        found += page["items"]
        if page["next"] is None:
            break
        (after,) = parse_qs(urlsplit(page["next"]).query)["after"]
    return found
