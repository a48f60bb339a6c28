"""Problem documents: what the HTTP door answers when it cannot do what it was asked (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from eventkit.errors import DeadlinePassed, NotFound, RuleBroken, Unavailable
from eventkit.telemetry import log

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_TITLES = {
    400: ("unreadable", "请求无法读取"),
    401: ("unauthorised", "缺少有效的令牌"),
    403: ("forbidden", "没有权限"),
    404: ("not-found", "没有找到"),
    405: ("method-not-allowed", "不支持的方法"),
    413: ("too-large", "内容过大"),
    415: ("unsupported-media-type", "不支持的内容类型"),
    422: ("rule-broken", "内容不符合规则"),
    500: ("internal", "内部错误"),
    503: ("unavailable", "暂时无法处理,请稍后再试"),
}


class FieldProblem(BaseModel):
    """What is wrong with one field. index: which event of a batch, from 0; absent outside of batches."""

    index: int | None = None
    field: str
    reason: str


class ProblemDocument(BaseModel):
    """Why a request was not done."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


class Problem(Exception):
    """Ends a request with a problem document."""

    def __init__(self, status: int, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, list(errors)

    @classmethod
    def of_field(cls, status: int, field: str, reason: str) -> Problem:
        """Return the problem of one field."""
        return cls(status, f"{field}: {reason}" if field else reason, [FieldProblem(field=field, reason=reason)])

    def response(self) -> JSONResponse:
        """Return the answer, with Retry-After when coming back will help."""
        slug, title = _TITLES.get(self.status, ("http", "请求未完成"))
        document = ProblemDocument(
            type=f"urn:liaison:problem:{slug}", title=title, status=self.status, detail=self.detail, errors=self.errors
        )
        headers = {"Retry-After": str(RETRY_AFTER_S)} if self.status == 503 else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        content = jsonable_encoder(document, exclude_none=True)
        return JSONResponse(content, self.status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the part of an OpenAPI operation that says which problems it may answer with."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {"description": _TITLES[status][1], "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }


def of_call(error: RuleBroken | DeadlinePassed | Unavailable) -> Problem:
    """Return the problem that an error of a called service stands for."""
    if isinstance(error, NotFound):
        return Problem.of_field(404, error.field, str(error))
    if isinstance(error, RuleBroken):
        return Problem.of_field(422, error.field, str(error))
    return Problem(503, str(error))


def install(app: FastAPI) -> None:
    """Have every error of the app answered with a problem document."""

    @app.exception_handler(Problem)
    def on_problem(request: Request, error: Problem) -> Response:
        if error.status == 401 and request.url.path.startswith("/desk/"):
            # A browser has no header to send; it goes to where it can sign in.
            return RedirectResponse("/desk/sign-in", 303)
        return error.response()

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> JSONResponse:
        return Problem(error.status_code, str(error.detail)).response()

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        unreadable = any(one["type"] == "json_invalid" for one in error.errors())
        errors = [FieldProblem(field=_field(one["loc"]), reason=one["msg"]) for one in error.errors()]
        detail = "; ".join(f"{one.field}: {one.reason}" for one in errors)
        return Problem(400 if unreadable else 422, detail, errors).response()

    @app.exception_handler(SQLAlchemyError)
    def on_database(request: Request, error: SQLAlchemyError) -> JSONResponse:
        log.warning("the database did not answer a request", extra={"error": type(error).__name__})
        return Problem(503, "the database is away").response()

    @app.exception_handler(Exception)
    def on_anything(request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return Problem(500, f"internal error: {type(error).__name__}").response()


def _field(location: Sequence[Any]) -> str:
    parts = [str(part) for part in location]
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("body", "query", "path", "header") else parts)
