"""The HTTP door as a FastAPI app."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.calling import MOST_WAITING
from services.gateway.files import MAX_FILE_BYTES
from services.gateway.parts import Parts
from services.gateway.problems import Problem
from services.gateway.routes import (
    alerts,
    answers,
    attachments,
    desk,
    duty,
    events,
    feedback,
    knowledge,
    pages,
    register,
    relations,
    tickets,
    training,
)

_DESCRIPTION = "其他系统在这里发布事件(CloudEvents 1.0),人员在这里提交和处理工单。错误以 RFC 9457 文档回答。"
# A little over the largest batch, whose own limit is told with its field.
_MAX_BODY_BYTES = 2 * 1024 * 1024
_ATTACHMENTS = re.compile(r"/v1/tickets/[^/]+/attachments")


class BodyLimit:
    """Stops reading a body that is too large for its route, with a problem document."""

    def __init__(self, app: ASGIApp, max_file_bytes: int) -> None:
        self._app = app
        self._max_file_bytes = max_file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0
        is_file = scope["type"] == "http" and _ATTACHMENTS.fullmatch(scope["path"])
        most = max(self._max_file_bytes, _MAX_BODY_BYTES) if is_file else _MAX_BODY_BYTES

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                # FastAPI makes a 400 of everything else that ends the reading of JSON.
                told = f"more than {most} bytes"
                raise Problem.of_field(413, "body", told) if is_file else HTTPException(413, told)
            return message

        await self._app(scope, limited, send)


@asynccontextmanager
async def _with_threads(app: FastAPI) -> AsyncIterator[None]:
    """Give requests that may wait for services threads besides those that the others have."""
    to_thread.current_default_thread_limiter().total_tokens += MOST_WAITING
    yield


def create_app(parts: Parts) -> FastAPI:
    """Return the app. It has no route that `access.authorise` does not guard."""
    app = FastAPI(
        title="联络台 Liaison",
        description=_DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_with_threads,
    )
    app.state.parts = parts
    app.add_middleware(BodyLimit, max_file_bytes=parts.max_file_bytes if parts else MAX_FILE_BYTES)
    problems.install(app)
    for router in (
        pages.router,
        events.router,
        alerts.router,
        register.router,
        relations.router,
        tickets.router,
        attachments.router,
        duty.router,
        answers.router,
        desk.router,
        feedback.router,
        knowledge.router,
        training.router,
    ):
        app.include_router(router)
    _document_problems(app)
    return app


def _document_problems(app: FastAPI) -> None:
    """Add the problem documents' schema, which no route names as its own answer."""
    original = app.openapi

    def with_problems() -> dict[str, Any]:
        document = original()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "ProblemDocument" not in schemas:
            template = "#/components/schemas/{model}"
            own = problems.ProblemDocument.model_json_schema(ref_template=template)
            schemas |= own.pop("$defs", {}) | {"ProblemDocument": own}
        return document

    app.openapi = with_problems  # type: ignore[method-assign]  # FastAPI's documented way to extend it.
