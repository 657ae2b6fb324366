"""The service over HTTP (ASGI)."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.simulators.graph.calls import Answer, Call
from deploy.simulators.graph.service import Service

_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


def build(service: Service) -> Starlette:
    """Return the application that serves Graph and the token endpoint."""

    async def everything(request: Request) -> Response:
        root = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
        raw = await request.body()
        call = Call(
            request.method,
            request.scope["path"],
            dict(parse_qsl(request.url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in request.headers.items()},
            _parsed(request.headers.get("content-type", ""), raw),
        )
        answer = service.answer(call, root)
        if answer.hang:
            await asyncio.sleep(answer.hang)
        return _response(answer)

    return Starlette(routes=[Route("/{rest:path}", everything, methods=_METHODS)])


def _parsed(content_type: str, raw: bytes) -> Any:
    if not raw:
        return None
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True))
    if not content_type.startswith("application/json"):
        return raw
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _response(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    if isinstance(answer.body, str):
        return PlainTextResponse(answer.body, answer.status, headers)
    return JSONResponse(answer.body, answer.status, headers)
