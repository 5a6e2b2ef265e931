"""API keys: what one looks like, what is kept of it, and whether it is accepted.

A key is 256 random bits, and only its SHA-256 is kept. Slow hashes (bcrypt, Argon2) protect passwords, which can be
guessed: nobody tries 2^256 keys, however fast a try is. So a slow one would only make each call slower, and let anyone
who sends wrong keys use up the account's concurrency.

Keys are looked up by their hash and never compared with each other, so how long a lookup takes says nothing of a key:
at most something of hashes, and nobody can choose a key with a given hash.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

MARK = "aik_"
"""Begins each key, so that a person, or a scanner of secrets, knows one when it sees one."""

_KEY = re.compile(MARK + r"[A-Za-z0-9_-]{43}")  # 32 bytes in base64url

# No colon: the caller is `key:<name>`.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")

MALFORMED, UNKNOWN, DISABLED, EXPIRED = "malformed", "unknown", "disabled", "expired"
"""Why a key is rejected, as the log says it. The client is not told."""


class ApiKey(NamedTuple):
    """What is kept of a key. Times in epoch milliseconds.

    Attributes:
        digest: its SHA-256, 64 hex digits.
        key_id: tells the keys of one name apart; random, so that it says nothing of the key.
        name: whose it is: the caller of a request is the key's name.
        expires_at: from then on it is rejected; None: never.
        disabled_at: since when it is disabled; None: it is not.
    """

    digest: str
    key_id: str
    name: str
    created_at: int
    expires_at: int | None = None
    disabled_at: int | None = None

    def rejected_at(self, now: int) -> str | None:
        """Why the key is rejected at a time (epoch milliseconds); None: it is not."""
        if self.disabled_at is not None:
            return DISABLED
        if self.expires_at is not None and self.expires_at <= now:
            return EXPIRED
        return None


def new_key() -> str:
    """A new key, from the system's random numbers."""
    return MARK + secrets.token_urlsafe(32)


def new_key_id() -> str:
    """A new key's id."""
    return secrets.token_hex(4)


def is_key(text: str) -> bool:
    """Whether a text looks like a key."""
    return _KEY.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a text can be the name of a key."""
    return _NAME.fullmatch(text) is not None


def digest_of(key: str) -> str:
    """What is kept of a key instead of the key: its SHA-256, 64 hex digits."""
    return hashlib.sha256(key.encode()).hexdigest()
