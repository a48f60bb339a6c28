"""Links that carry their own right: nobody can make, change or use one for longer or for something else."""

from __future__ import annotations

import time

import pytest

from eventkit.errors import BadSettings, NotFound, RuleBroken
from eventkit.links import Links

KEY, OLD_KEY = "k" * 32, "o" * 32
SAYS = {"n": "T2026-000001", "c": 1, "p": "E7"}


def test_a_link_says_what_was_put_into_it() -> None:
    links = Links([KEY], "ticket", valid_days=1)
    assert links.read(links.token(SAYS)) == SAYS


@pytest.mark.parametrize("other", [Links([OLD_KEY], "ticket", valid_days=1), Links([KEY], "survey", valid_days=1)])
def test_a_link_of_another_key_or_purpose_is_none_of_ours(other: Links) -> None:
    with pytest.raises(NotFound):
        Links([KEY], "ticket", valid_days=1).read(other.token(SAYS))


def test_a_changed_link_is_none_of_ours() -> None:
    links = Links([KEY], "ticket", valid_days=1)
    token = links.token(SAYS)
    says_more = links.token(SAYS | {"p": "E8"}).partition(".")[0] + "." + token.partition(".")[2]
    for changed in (token[:-2], token + "x", "x" + token, says_more, ""):
        with pytest.raises(NotFound):
            links.read(changed)


def test_a_link_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    links = Links([KEY], "ticket", valid_days=1)
    token, now = links.token(SAYS), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400 - 5)
    assert links.read(token) == SAYS
    monkeypatch.setattr(time, "time", lambda: now + 86_400 + 5)
    with pytest.raises(RuleBroken, match="expired"):
        links.read(token)


def test_a_key_can_be_changed_while_links_are_out() -> None:
    token = Links([OLD_KEY], "ticket", valid_days=1).token(SAYS)
    both = Links.from_env({"LIAISON_LINK_KEYS": f"{OLD_KEY},{KEY}"}, "ticket")
    assert both is not None
    assert both.read(token) == SAYS
    assert Links([KEY], "ticket", valid_days=1).read(both.token(SAYS)) == SAYS


@pytest.mark.parametrize(
    "env", [{"LIAISON_LINK_KEYS": "short"}, {"LIAISON_LINK_KEYS": KEY, "LIAISON_LINK_VALID_DAYS": "soon"}]
)
def test_a_setting_that_is_wrong_is_named(env: dict[str, str]) -> None:
    with pytest.raises(BadSettings, match=list(env)[-1]):
        Links.from_env(env, "ticket")


def test_without_a_key_there_are_no_links() -> None:
    assert Links.from_env({}, "ticket") is None
