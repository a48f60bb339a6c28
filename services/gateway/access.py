"""Who is calling, and may they: every route declares its action, and the table of `rules` decides. Deny by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.gateway import rules
from services.gateway.parts import Parts
from services.gateway.problems import Problem, documented
from services.gateway.rules import Role, Scope
from services.gateway.storage import Caller, caller_of

F = TypeVar("F", bound=Callable[..., Any])
ACTION = "x-liaison-action"
DESK_COOKIE = "liaison_desk"
_bearer = HTTPBearer(auto_error=False, description="`liaison tokens add` or `liaison publishers add` prints it once")


def parts_of(request: Request) -> Parts:
    """Return what the app stands on."""
    parts: Parts = request.app.state.parts
    return parts


@dataclass(frozen=True, slots=True)
class Permitted:
    """A caller who may do what was asked, within a scope."""

    caller: Caller
    scope: Scope

    @property
    def actor(self) -> str:
        """Who it was, as events tell it."""
        return self.caller.person or f"token {self.caller.name}"

    def reaches_all(self, action: str) -> bool:
        """Tell whether the caller may do something else with whatever there is."""
        return rules.scope_of(Role(self.caller.role), action) is Scope.ALL

    def as_argument(self) -> Mapping[str, Any]:
        """Return the scope as services take it in a call."""
        caller = self.caller
        return {
            "kind": str(self.scope),
            "person": caller.person,
            "groups": list(caller.groups),
            "department": caller.department,
        }


def caller_with(parts: Parts, token: str) -> Caller | None:
    """Return whose token it is; None for one that is unknown or revoked."""
    digest = sha256(token.encode()).digest()
    return parts.read(lambda connection: caller_of(connection, digest))


def authorise(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Permitted | None:
    """Return who is calling; None on public routes. Raises Problem 401 or 403."""
    action = (request.scope["route"].openapi_extra or {}).get(ACTION)
    if action == rules.PUBLIC:
        return None
    # The cookie of the desk's pages opens nothing but these pages, which only look.
    cookie = request.cookies.get(DESK_COOKIE) if request.url.path.startswith("/desk/") else None
    token = credentials.credentials if credentials else cookie
    if token is None:
        raise Problem(401, "send `Authorization: Bearer TOKEN`")
    caller = caller_with(parts_of(request), token)
    if caller is None:
        raise Problem(401, "this token is unknown or revoked")
    role = Role(caller.role)
    scope = rules.scope_of(role, action) if action else Scope.NONE
    if scope is Scope.NONE:
        raise Problem(403, f"the role {role} may not do this ({action})")
    # A publisher's own things are those that came under its name.
    holder = caller.name if role is Role.PUBLISHER else caller.person
    if lacking := rules.missing_for(scope, person=holder, groups=caller.groups, department=caller.department):
        raise Problem(403, f"this token names no {lacking}, without which the role {role} reaches nothing")
    return Permitted(caller, scope)


def permitted(found: Annotated[Permitted | None, Depends(authorise)]) -> Permitted:
    """Return who is calling, on routes that are not public."""
    if found is None:
        raise Problem(401, "send `Authorization: Bearer TOKEN`")
    return found


Who = Annotated[Permitted, Depends(permitted)]


def guarded_router(**options: Any) -> APIRouter:
    """Return a router whose every route is authorised, also one that forgot to declare its action."""
    return APIRouter(dependencies=[Depends(authorise)], **options)


def action(name: str, *, problems: tuple[int, ...] = (), **extra: Any) -> dict[str, Any]:
    """Return the options that declare a route's action, and the problems it may answer with."""
    found = () if name == rules.PUBLIC else (401, 403, 422, 503)
    return {
        "openapi_extra": {ACTION: name, **extra},
        "responses": documented(*sorted({*found, *problems})),
        # Unique and readable names for those who generate clients.
        "name": name,
    }
