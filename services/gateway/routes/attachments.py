"""The routes of attachments: the bytes stay here, what they are called and whose they are goes to tickets."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Query, Request
from fastapi.responses import Response

from eventkit.blobs import BlobStore, key_of
from eventkit.envelope import new_id
from eventkit.errors import NotFound, Unavailable
from services.gateway import files
from services.gateway.access import Who, action, guarded_router, parts_of
from services.gateway.asking import Asked
from services.gateway.models.attachments import Attachment, AttachmentPage, FileWish
from services.gateway.problems import Problem, of_call
from services.gateway.routes.tickets import IdempotencyKey

_TICKETS = Asked("tickets")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
#: A browser that shows a file after all must run nothing of it.
_HARMLESS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
router = guarded_router(prefix="/v1/tickets", tags=["tickets"])


async def read_file(request: Request) -> bytes:
    """Return the request's body. Raises Problem 413 before it is read, when it says that it is too large."""
    most, told = parts_of(request).max_file_bytes, request.headers.get("content-length", "")
    if told.isdigit() and int(told) > most:
        raise Problem.of_field(413, "body", f"the file has {told} bytes; at most {most} are taken")
    return await request.body()


def blobs_of(request: Request) -> BlobStore:
    """Return where attachments lie. Raises Problem 503 when there is no such place."""
    blobs = parts_of(request).blobs
    if blobs is None:
        raise Problem(503, "this installation keeps no attachments: LIAISON_BLOBS is not set")
    return blobs


@router.post(
    "/{number}/attachments",
    status_code=201,
    response_model=Attachment,
    summary="添加附件",
    **action("tickets.attach", problems=(404, 413, 415, 422), **_BODY),
)
def add_attachment(
    request: Request,
    who: Who,
    number: str,
    wish: Annotated[FileWish, Query()],
    body: Annotated[bytes, Depends(read_file)],
    blobs: Annotated[BlobStore, Depends(blobs_of)],
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Add a file: its bytes are the body, its type is Content-Type; with level `internal` for the desk only."""
    name = files.file_name(wish.filename)
    content_type = request.headers.get("content-type", "")
    if no := files.refusal_of(name, content_type, body, max_bytes=parts_of(request).max_file_bytes):
        raise Problem.of_field(no.status, no.field, no.reason)
    # Nobody leaves a file on a ticket that they may not see.
    _TICKETS.ask_for(request, who, "get_ticket", {"number": number})
    key, kept_as = key_of(body), files.type_of(name)
    try:
        blobs.put_object(key, body, kept_as)
    except Unavailable as error:
        raise of_call(error) from error
    # The same command sent again must ask for the same.
    own_id = key_of(f"{who.caller.name} {number} {idempotency_key or new_id()}".encode())[:32]
    told = {"number": number, "id": own_id, "name": name, "size_bytes": len(body), "sha256": key}
    told |= {"content_type": kept_as, "level": wish.level}
    return _TICKETS.ask_for(request, who, "add_attachment", told, idempotency_key)


@router.get(
    "/{number}/attachments",
    response_model=AttachmentPage,
    summary="附件列表",
    **action("tickets.read", problems=(404,)),
)
def ticket_attachments(request: Request, who: Who, number: str) -> Any:
    """Show a ticket's files, oldest first; requesters see what is public."""
    return _TICKETS.ask_for(request, who, "ticket_attachments", {"number": number})


@router.get(
    "/{number}/attachments/{attachment_id}",
    response_class=Response,
    summary="下载附件",
    **action("tickets.read", problems=(404,)),
)
def download_attachment(
    request: Request, who: Who, number: str, attachment_id: str, blobs: Annotated[BlobStore, Depends(blobs_of)]
) -> Any:
    """Give a file out, to be saved and not to be shown."""
    return given_out(request, who, number, attachment_id, blobs)


def given_out(request: Request, who: Who, number: str, attachment_id: str, blobs: BlobStore) -> Response:
    """Return a file as an answer that a browser saves. Raises Problem."""
    asked = {"number": number, "attachment_id": attachment_id}
    found = _TICKETS.ask_for(request, who, "get_attachment", asked)
    try:
        body = blobs.get_object(found["sha256"])
    except (NotFound, Unavailable) as error:
        raise of_call(error) from error
    disposition = f"attachment; filename*=UTF-8''{quote(found['name'], safe='')}"
    return Response(body, media_type=found["content_type"], headers={"Content-Disposition": disposition, **_HARMLESS})
