"""Borders that import-linter cannot draw: how many files know the framework, and whom no file may name."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import PRODUCT, ROOT, files, imported, modules, named

# Written in parts, so that this file does not name them itself.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("maven", "org"),
        ("maven", "apache", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("docker", "io"),
        ("deb", "debian", "org"),
    )
)


def users_of(package: str) -> list[str]:
    """Return the files of the product that import a package."""
    own = (path for path in modules() if path.relative_to(ROOT).parts[0] in PRODUCT)
    return [named(path) for path in own if package in imported(path)]


def hosts_in(text: str) -> list[str]:
    return [host for host in REGISTRIES if host in text.lower()]


def test_nameko_is_imported_in_at_most_two_files_of_eventkit() -> None:
    found = users_of("nameko")
    assert len(found) <= 2, found
    assert [name for name in found if not name.startswith("eventkit/")] == []


def test_eventlet_is_imported_in_one_file_of_eventkit() -> None:
    assert users_of("eventlet") == ["eventkit/green.py"]


def test_imports_within_functions_are_seen(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.py"
    hidden.write_text(
        "def later():\n    import nameko.rpc\n    from eventlet.hubs import trampoline\n    from . import x\n"
    )
    assert list(imported(hidden)) == ["nameko", "eventlet"]


def requests_through_a_proxy(code: str) -> list[int]:
    """Return the lines with calls of httpx that go by a proxy where the environment names one."""
    calls = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    direct = {"get", "post", "put", "patch", "delete", "head", "options", "request", "stream", "Client", "AsyncClient"}
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and (call.func.value.id, call.func.attr in direct) == ("httpx", True)
        and not any(given.arg == "trust_env" for given in call.keywords)
    ]


def test_no_request_to_our_own_parts_goes_by_a_proxy() -> None:
    found = {name: requests_through_a_proxy((ROOT / name).read_text()) for name in users_of("httpx")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_request_through_a_proxy_is_seen() -> None:
    assert requests_through_a_proxy("import httpx\nhttpx.get(url)\nwith httpx.Client(trust_env=False): pass\n") == [2]


def test_no_file_names_the_host_of_a_package_registry() -> None:
    named_hosts = {named(path): hosts_in(path.read_text(errors="ignore")) for path in files()}
    assert {name: hosts for name, hosts in named_hosts.items() if hosts} == {}


@pytest.mark.parametrize("host", REGISTRIES)
def test_the_host_of_a_registry_is_seen(host: str) -> None:
    assert hosts_in(f"fetched from HTTPS://Files.{host.upper()}/packages") != []


def test_importing_the_events_loads_no_tool_no_service_and_no_framework() -> None:
    code = "import sys, contracts.register; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not {"nameko", "eventlet", "amqp", "sqlalchemy", "liaison", "services", "eventkit"} & set(loaded.split())
