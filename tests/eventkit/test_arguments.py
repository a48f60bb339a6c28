"""What callers give, as typed values: whatever does not fit is refused, and named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contracts.fact import Moment
from eventkit.arguments import checked, converted, moment_in
from eventkit.errors import RuleBroken


class Wish(msgspec.Struct, frozen=True):
    title: str
    count: int = 1


def field_refused(ask: Any) -> str:
    with pytest.raises(RuleBroken) as refused:
        ask()
    return refused.value.field


def test_what_fits_comes_as_its_type() -> None:
    assert checked(Wish, {"title": "打印机"}) == Wish("打印机")
    found = moment_in({"at": "2026-03-02T09:00:00+08:00"}, "at")
    assert found is not None
    assert found.isoformat() == "2026-03-02T09:00:00+08:00"
    assert moment_in({}, "at") is None


def test_a_field_that_is_wrong_or_missing_is_named() -> None:
    assert field_refused(lambda: checked(Wish, {"title": "打印机", "count": "many"})) == "count"
    assert field_refused(lambda: checked(Wish, {"count": 2})) == "title"


def test_a_place_within_a_field_is_named_whole() -> None:
    given = [{"title": "打印机"}, {"title": 7}]
    assert field_refused(lambda: converted(given, list[Wish], "wishes")) == "wishes[1].title"


@pytest.mark.parametrize("given", ["2026-03-02T09:00:00", "morgen", 7])
def test_what_is_no_moment_or_has_no_offset_is_refused(given: object) -> None:
    assert field_refused(lambda: moment_in({"at": given}, "at")) == "at"
    assert field_refused(lambda: converted(given, Moment, "at")) == "at"
