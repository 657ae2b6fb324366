"""`$batch`: up to 20 requests in one, each answered, throttled and refused by itself.

https://learn.microsoft.com/graph/json-batching
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deploy.simulators.graph.calls import Answer, Call, Json, Refused

MOST = 20
_METHODS = {"GET", "POST", "PATCH", "PUT", "DELETE"}


def answered(call: Call, run: Callable[[Call], Answer], mixed: Callable[[list[Json]], None]) -> Answer:
    """Answer a batch: 200 whatever happened to its items.

    Args:
        call: The outer request, whose token all items use.
        run: Answers one item.
        mixed: Puts the answers in some other order, which callers must put up with.

    Raises:
        Refused: The batch itself is wrong; nothing of it was done.
    """
    steps = _steps(call.body)
    answers: dict[str, Json] = {}
    hang = 0.0
    for step in _ordered(steps):
        if any(answers[one]["status"] >= 400 for one in step.get("dependsOn", ())):
            answers[step["id"]] = _failed_dependency(step["id"])
            continue
        answer = run(_call(call, step))
        hang = max(hang, answer.hang)
        answers[step["id"]] = _response(step["id"], answer)
    listed = [answers[step["id"]] for step in steps]
    mixed(listed)
    if hang:
        return Answer(504, None, {}, hang)
    return Answer(200, {"responses": listed})


def _steps(body: Any) -> list[Json]:
    steps = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise _wrong("Invalid batch payload format.")
    if len(steps) > MOST:
        raise _wrong(f"Number of batch request steps exceeds the max value of {MOST}.")
    known: set[str] = set()
    for step in steps:
        identifier, url = step.get("id"), step.get("url")
        if not isinstance(identifier, str) or not identifier or identifier in known:
            raise _wrong("Each batch request step needs an 'id' of its own.")
        known.add(identifier)
        if step.get("method") not in _METHODS or not isinstance(url, str) or not url.startswith("/"):
            raise _wrong(f"Invalid method or relative url in batch request step '{identifier}'.")
        if "body" in step and "application/json" not in _headers(step).get("content-type", ""):
            raise _wrong(f"Content-Type is required for the body of batch request step '{identifier}'.")
    for step in steps:
        if not set(step.get("dependsOn", ())) <= known - {step["id"]}:
            raise _wrong(f"Batch request step '{step['id']}' depends on an unknown step.")
    return steps


def _ordered(steps: list[Json]) -> list[Json]:
    waiting, done, result = list(steps), set[str](), list[Json]()
    while waiting:
        ready = next((step for step in waiting if set(step.get("dependsOn", ())) <= done), None)
        if ready is None:
            raise _wrong("Batch request steps depend on each other in a circle.")
        waiting.remove(ready)
        done.add(ready["id"])
        result.append(ready)
    return result


def _call(outer: Call, step: Json) -> Call:
    parts = urlsplit(step["url"])
    version = outer.path.removesuffix("/$batch")
    token = {"authorization": outer.headers.get("authorization", "")}
    return Call(
        step["method"],
        f"{version}{unquote(parts.path)}",
        dict(parse_qsl(parts.query, keep_blank_values=True)),
        {**token, **_headers(step)},
        step.get("body"),
        batched=True,
    )


def _headers(step: Json) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (step.get("headers") or {}).items()}


def _response(identifier: str, answer: Answer) -> Json:
    response: Json = {"id": identifier, "status": answer.status, "headers": dict(answer.headers)}
    if answer.body is not None:
        response["headers"]["Content-Type"] = "application/json"
        response["body"] = answer.body
    return response


def _failed_dependency(identifier: str) -> Json:
    error = {"code": "FailedDependency", "message": "Failed Dependency"}
    return {"id": identifier, "status": 424, "headers": {"Content-Type": "application/json"}, "body": {"error": error}}


def _wrong(message: str) -> Refused:
    return Refused(400, "BadRequest", message)
