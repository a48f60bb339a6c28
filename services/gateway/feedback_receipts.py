"""Receipt codes of anonymous feedback: made here, shown once; the desk keeps a hash only. Pure but for the dice."""

from __future__ import annotations

import hmac
import secrets
from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256

# 120 bits: at a thousand guesses a second against a million codes, a hit is to be expected after 10^19 years, so that
# guessing needs no brake of its own, and a plain hash is enough.
_BYTES = 15
_SYMBOLS = 24
_GROUP = 4
# Crockford's digits: none looks like another, and those that do are read as it.
_RFC4648, _CROCKFORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_WRITTEN = str.maketrans(_RFC4648, _CROCKFORD)
_READ = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": "", "\t": ""})


@dataclass(frozen=True, slots=True)
class Receipt:
    """code: for the author. key: makes the same submission one, when its sender gave a key; leads to nobody."""

    code: str
    key: str | None


def receipt_for(token: str, idempotency_key: str | None) -> Receipt:
    """Return the receipt of an anonymous submission.

    With an idempotency key, it is derived from the caller's token, so that the same submission sent again gets the same
    code. The token is kept nowhere, and without it neither code nor key can be traced to it: its name and its hash,
    which are kept, do not help.
    """
    if idempotency_key is None:
        return Receipt(_written(secrets.token_bytes(_BYTES)), None)
    return Receipt(
        _written(_derived(token, "receipt", idempotency_key)[:_BYTES]),
        f"anonymous {_derived(token, 'key', idempotency_key).hex()}",
    )


def hash_of(code: str) -> str | None:
    """Return what is kept of a code, as people type it: any case, with or without hyphens. None when it is no code.

    Publishers with forms of their own make codes and hashes in the same way (`FeedbackSubmitted.receipt_hash`).
    """
    plain = code.upper().translate(_READ)
    if len(plain) != _SYMBOLS or any(symbol not in _CROCKFORD for symbol in plain):
        return None
    return sha256(plain.encode()).hexdigest()


def _derived(token: str, purpose: str, idempotency_key: str) -> bytes:
    return hmac.digest(token.encode(), f"feedback {purpose} {idempotency_key}".encode(), "sha256")


def _written(entropy: bytes) -> str:
    symbols = b32encode(entropy).decode().translate(_WRITTEN)
    return "-".join(symbols[at : at + _GROUP] for at in range(0, _SYMBOLS, _GROUP))
