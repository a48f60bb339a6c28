"""Which files are taken: pure rules on name, type, size and the first bytes.

What can run is refused by its name, by its type and by how it begins, whatever it is called; what is not on the list
is refused as well, with a reason for the person who sent it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from contracts.markings import advice_on, marking_in

#: The largest file that is taken unless a setting says otherwise, bytes.
MAX_FILE_BYTES = 20 * 1024 * 1024
_MAX_NAME = 120
_OCTETS = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument"

#: By ending: the type under which a file is kept and given out again.
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "txt": "text/plain",
        "log": "text/plain",
        "csv": "text/csv",
        "md": "text/markdown",
        "json": "application/json",
        "xml": "application/xml",
        "png": "image/png",
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "bmp": "image/bmp",
        "webp": "image/webp",
        "tif": "image/tiff",
        "tiff": "image/tiff",
        "heic": "image/heic",
        "pdf": "application/pdf",
        "ofd": "application/ofd",
        "rtf": "application/rtf",
        "doc": "application/msword",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "ppt": "application/vnd.ms-powerpoint",
        "pptx": f"{_OFFICE}.presentationml.presentation",
        "wps": "application/vnd.ms-works",
        "et": "application/kset",
        "dps": "application/ksdps",
        "odt": "application/vnd.oasis.opendocument.text",
        "ods": "application/vnd.oasis.opendocument.spreadsheet",
        "odp": "application/vnd.oasis.opendocument.presentation",
        "vsdx": "application/vnd.ms-visio.drawing",
        "msg": "application/vnd.ms-outlook",
        "eml": "message/rfc822",
        "ics": "text/calendar",
        "vcf": "text/vcard",
        "zip": "application/zip",
        "7z": "application/x-7z-compressed",
        "rar": "application/vnd.rar",
        "gz": "application/gzip",
        "tar": "application/x-tar",
        "mp3": "audio/mpeg",
        "m4a": "audio/mp4",
        "amr": "audio/amr",
        "wav": "audio/wav",
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "webm": "video/webm",
    }
)
_RUNS = re.compile(
    r"a(de|dp|pk|pp|ppimage)|ba(sh|t)|bin|c(hm|md|om|ommand|pl|sh)|d(eb|ll|mg|ocm|otm)|e(lf|xe)|gadget|h(ta|tml?)"
    r"|i(mg|nf|ns|so)|j(ar|ob|se?|sp)|ksh|lnk|m(js|sc|sh|si|sp|st)|p(if|hp|kg|l|pam|ptm|s1|s1xml|s2|sc1|sm1|yc?|yw)"
    r"|r(b|eg|pm)|s(cf|cr|ct|h|hb|html|ldm|o|vg|wf|ys)|url|v(b|be|bs|hdx?)|w(asm|s|sc|sf|sh)"
    r"|x(bap|html|lam|lsb|lsm|ltm|ll|slt?)|zsh"
)
_RUNNING_TYPES = re.compile(
    r"application/(x-)?(msdownload|dosexec|executable|msdos-program|msi|sh|shellscript|csh|perl|python|php|httpd-php"
    r"|javascript|ecmascript|java-archive|elf|mach-binary|sharedlib|bat|vbscript|hta|wasm)(-code)?"
    r"|text/(x-)?(javascript|ecmascript|vbscript|shellscript|sh|python|perl|php|html)|application/xhtml\+xml"
    r"|image/svg\+xml|application/vnd\.(android\.package-archive|microsoft\.portable-executable)"
    r"|application/vnd\.ms-[a-z]+\.[a-z.-]*macroenabled\.[0-9]+"
)
_FAMILIES = ("application/", "text/", "image/", "audio/", "video/", "message/rfc822", "binary/octet-stream")
_BEGINNINGS = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"\xca\xfe\xba\xbe", "a Java or macOS program"),
    (b"\xfe\xed\xfa", "a macOS program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xce\xfa\xed\xfe", "a macOS program"),
    (b"#!", "a script"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "a Windows shortcut"),
)


@dataclass(frozen=True, slots=True)
class FileRefused:
    """Why a file is not taken. status: of the HTTP answer, 413, 415 or 422. field, reason: for its sender."""

    status: int
    field: str
    reason: str


def file_name(given: str) -> str:
    """Return a file's name fit to be shown and kept: its last part, without control characters, not too long."""
    last = PurePosixPath(given.replace("\\", "/")).name
    # Marks of direction make `gpj.exe` look like `exe.jpg`.
    name = "".join(one for one in last if unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    # Windows leaves out what stands at the end.
    name = name.strip().rstrip(". ")
    if len(name) <= _MAX_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem[: _MAX_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) < 10 else name[:_MAX_NAME]


def refusal_of(
    name: str, content_type: str, body: bytes, *, max_bytes: int = MAX_FILE_BYTES, type_field: str = "content-type"
) -> FileRefused | None:
    """Return why a file is not taken, None when it is. name: as `file_name` returns it."""
    if problem := _of_name_or_size(name, len(body), max_bytes):
        return problem
    bare = bare_type(content_type) or _OCTETS
    if what := _running(name, bare, body):
        return FileRefused(415, what[0] or type_field, f"{what[1]}: what can run is not taken")
    if not bare.startswith(_FAMILIES):
        return FileRefused(415, type_field, f"{bare!r} is no type of a file")
    if _ending(name) not in TYPES:
        return FileRefused(415, "filename", f"a file must end in one of: {', '.join(TYPES)}")
    return None


def _of_name_or_size(name: str, size_bytes: int, max_bytes: int) -> FileRefused | None:
    if not name:
        return FileRefused(422, "filename", "a file needs a name with an ending")
    if marking := marking_in(name):
        return FileRefused(422, "filename", advice_on(marking))
    if not size_bytes:
        return FileRefused(422, "body", "the file is empty")
    if size_bytes > max_bytes:
        return FileRefused(413, "body", f"the file has {size_bytes} bytes; at most {max_bytes} are taken")
    return None


def _running(name: str, bare: str, body: bytes) -> tuple[str, str] | None:
    """Return by which field something can run, and what it is; an empty field stands for the type."""
    if _RUNS.fullmatch(_ending(name)):
        return "filename", f".{_ending(name)}"
    if _RUNNING_TYPES.fullmatch(bare):
        return "", bare
    return next(
        (("body", f"this is {what}, whatever it is called") for begin, what in _BEGINNINGS if body.startswith(begin)),
        None,
    )


def type_of(name: str) -> str:
    """Return the type under which a file of this name is kept; what a sender claims is not believed."""
    return TYPES.get(_ending(name), _OCTETS)


def bare_type(content_type: str) -> str:
    """Return a Content-Type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def _ending(name: str) -> str:
    return name.lower().rpartition(".")[2] if "." in name else ""
