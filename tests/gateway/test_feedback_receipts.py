"""Receipt codes: hard to guess, easy to type, and the same for the same submission of the same caller."""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.gateway import FeedbackSubmitted
from services.gateway.feedback_receipts import hash_of, receipt_for

FORM = re.compile(r"([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}")
tokens, keys = st.text(min_size=1, max_size=60), st.text(max_size=200)


def test_a_code_has_120_bits_and_no_two_are_alike() -> None:
    codes = [receipt_for("token", None).code for _ in range(1000)]
    assert all(FORM.fullmatch(code) for code in codes)
    assert len(set(codes)) == len(codes)
    # Every symbol takes every value: 24 of them, 5 bits each.
    assert all(len({code.replace("-", "")[at] for code in codes}) == 32 for at in range(24))


@given(tokens, tokens, keys, keys)
def test_the_same_submission_of_the_same_caller_gets_the_same_code(one: str, other: str, key: str, next_: str) -> None:
    receipt = receipt_for(one, key)
    assert FORM.fullmatch(receipt.code)
    assert receipt_for(one, key) == receipt
    assert (receipt_for(other, key) == receipt) == (one == other)
    assert (receipt_for(one, next_) == receipt) == (key == next_)


def test_neither_code_nor_key_can_be_made_of_what_is_kept_of_a_token() -> None:
    receipt = receipt_for("liaison_secret", "k1")
    for kept in ("name", sha256(b"liaison_secret").hexdigest()):
        assert receipt_for(kept, "k1").key != receipt.key
    assert receipt.key is not None
    assert "liaison_secret" not in receipt.key
    assert "k1" not in receipt.key.split()


@pytest.mark.parametrize(
    "typed", ["0ABC-DEFG-HJKM-NPQR-STVW-1111", "oabcdefghjkmnpqrstvw iIlL", " 0abc defg hjkm npqr stvw 1111 "]
)
def test_a_code_is_read_as_people_type_it(typed: str) -> None:
    assert hash_of(typed) == sha256(b"0ABCDEFGHJKMNPQRSTVW1111").hexdigest()


@pytest.mark.parametrize("typed", ["", "0ABC", "U" * 24, "0ABC-DEFG-HJKM-NPQR-STVW-11111", "0" * 23 + "零"])
def test_what_is_no_code_has_no_hash(typed: str) -> None:
    assert hash_of(typed) is None


def test_what_is_kept_of_a_code_is_what_publishers_may_bring() -> None:
    code = receipt_for("token", None).code
    digest = sha256(code.replace("-", "").encode()).hexdigest()
    said = {"text": "慢", "receipt_hash": hash_of(code)}
    assert msgspec.convert(said, FeedbackSubmitted).receipt_hash == digest
    for wrong in (digest.upper(), digest[1:], code, digest + "\n"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(said | {"receipt_hash": wrong}, FeedbackSubmitted)


def test_a_code_that_was_made_is_read() -> None:
    code = receipt_for("token", None).code
    assert hash_of(code) == hash_of(code.lower().replace("-", "")) is not None
