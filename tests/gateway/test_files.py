"""Which files are taken, as a table: by name, by type, by size, and by how they begin."""

from __future__ import annotations

import pytest

from services.gateway.files import file_name, refusal_of, type_of


@pytest.mark.parametrize(
    ("name", "content_type", "body"),
    [
        pytest.param("截图.png", "image/png", b"\x89PNG", id="picture"),
        pytest.param("合同.PDF", "application/pdf; name=x", b"%PDF-1.7", id="ending in capitals, type with parameters"),
        pytest.param("月报.xlsx", "application/octet-stream", b"PK\x03\x04", id="no better type known"),
        pytest.param("月报.et", "", b"\xd0\xcf", id="no type"),
        pytest.param("www.example.com.zip", "application/x-zip-compressed", b"PK", id="an ending inside of a name"),
    ],
)
def test_usual_files_are_taken(name: str, content_type: str, body: bytes) -> None:
    assert refusal_of(name, content_type, body) is None


@pytest.mark.parametrize(
    ("name", "content_type", "body", "refusal"),
    [
        pytest.param("setup.exe", "", b"x", (415, "filename"), id="program by name"),
        pytest.param("发票.pdf.JS", "application/pdf", b"x", (415, "filename"), id="script behind another ending"),
        pytest.param("报表.xlsm", "", b"PK", (415, "filename"), id="macros"),
        pytest.param("logo.svg", "image/svg+xml", b"<svg", (415, "filename"), id="picture that can run"),
        pytest.param("a.txt", "text/html", b"<script>", (415, "content-type"), id="script by type"),
        pytest.param("a.txt", "application/x-sh", b"x", (415, "content-type"), id="shell script by type"),
        pytest.param("a.png", "image/png", b"MZ\x90", (415, "body"), id="program by its first bytes"),
        pytest.param("a.txt", "text/plain", b"#!/bin/sh", (415, "body"), id="script by its first bytes"),
        pytest.param("a.unknown", "", b"x", (415, "filename"), id="ending that is not on the list"),
        pytest.param("a", "", b"x", (415, "filename"), id="no ending"),
        pytest.param("a.txt", "multipart/mixed", b"x", (415, "content-type"), id="no type of a file"),
        pytest.param("", "", b"x", (422, "filename"), id="no name"),
        pytest.param("【机密】计划.txt", "", b"x", (422, "filename"), id="a secret by its name"),
        pytest.param("a.txt", "", b"", (422, "body"), id="empty"),
        pytest.param("a.txt", "", b"12345678901", (413, "body"), id="too large"),
    ],
)
def test_others_are_refused_with_field_and_reason(
    name: str, content_type: str, body: bytes, refusal: tuple[int, str]
) -> None:
    found = refusal_of(name, content_type, body, max_bytes=10)
    assert found is not None
    assert (found.status, found.field) == refusal
    assert found.reason


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("C:\\fakepath\\截图.png", "截图.png"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nb.txt", "ab.txt"),
        ("photo_\u202egpj.exe", "photo_gpj.exe"),
        ("a.exe. .", "a.exe"),
        ("..", ""),
        ("长" * 300 + ".pdf", "长" * 116 + ".pdf"),
    ],
)
def test_a_name_is_its_last_part_without_tricks(given: str, name: str) -> None:
    assert file_name(given) == name


def test_the_type_of_a_kept_file_comes_from_its_name() -> None:
    assert (type_of("a.PNG"), type_of("a.exe")) == ("image/png", "application/octet-stream")
