"""The routes that need no token: health, what this is, and the OpenAPI document as a page.

The page is made here, since the usual one loads its scripts from the internet, where a desk may not reach.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse

from eventkit.page import Health
from services.gateway import rules
from services.gateway.access import action, guarded_router, parts_of
from services.gateway.models import events

router = guarded_router()
_STYLE = "body{font:16px/1.6 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}code,pre{background:#f3f3f3}"
_HOME = """<h1>联络台 Liaison</h1>
<p>企业支持与培训服务台的入口:其他系统在这里发布事件,人员在这里提交和处理工单。</p>
<ul>
<li><a href="/docs">接口说明</a>(<a href="/openapi.json">OpenAPI</a>)</li>
<li><a href="/ready">运行状态</a></li>
</ul>"""


def _page(title: str, body: str) -> HTMLResponse:
    head = f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>{escape(title)}</title>'
    return HTMLResponse(f"{head}<style>{_STYLE}</style>{body}</html>")


@router.get("/", include_in_schema=False, **action(rules.PUBLIC))
def home() -> HTMLResponse:
    """Say what this is."""
    return _page("联络台 Liaison", _HOME)


@router.get("/docs", include_in_schema=False, **action(rules.PUBLIC))
def docs(request: Request) -> HTMLResponse:
    """Show the OpenAPI document."""
    document = request.app.openapi()
    parts = [f"<h1>{escape(document['info']['title'])}</h1><p>{escape(document['info']['description'])}</p>"]
    for path, operations in document["paths"].items():
        parts += [_operation(path, method, one) for method, one in operations.items()]
    return _page("接口说明", "\n".join(parts))


def _operation(path: str, method: str, one: dict[str, Any]) -> str:
    lines = [f"<h2><code>{method.upper()} {escape(path)}</code> {escape(one.get('summary', ''))}</h2>"]
    lines.append(f"<p>{escape(one.get('description', ''))}</p><ul>")
    for parameter in one.get("parameters", ()):
        name, place = escape(parameter["name"]), escape(parameter["in"])
        lines.append(f"<li><code>{name}</code>({place}){escape(parameter.get('description', ''))}</li>")
    for content_type in one.get("requestBody", {}).get("content", {}):
        lines.append(f"<li>请求体:<code>{escape(content_type)}</code></li>")
    for status, answer in one["responses"].items():
        lines.append(f"<li><code>{status}</code> {escape(answer['description'])}</li>")
    return "\n".join([*lines, "</ul>"])


@router.get("/openapi.json", include_in_schema=False, **action(rules.PUBLIC))
def openapi(request: Request) -> JSONResponse:
    """Return the OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/live", response_model=events.Health, summary="进程存活", **action(rules.PUBLIC))
def live(request: Request) -> JSONResponse:
    """Tell whether the process is alive: 503 asks the supervisor to start it anew."""
    return _health(parts_of(request).live)


@router.get("/ready", response_model=events.Health, summary="可以工作", **action(rules.PUBLIC))
def ready(request: Request) -> JSONResponse:
    """Tell whether the doors are open: database, broker and intake."""
    return _health(parts_of(request).ready)


def _health(health: Health) -> JSONResponse:
    problems = health.problems()
    return JSONResponse({"problems": problems}, 503 if problems else 200)
