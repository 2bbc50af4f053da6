"""The secret in an annotator's link: shown once, kept only as its digest."""

import hashlib
import secrets

NUM_BYTES = 24


def new() -> str:
    """192 random bits as 32 characters that need no escaping in a link."""
    return secrets.token_urlsafe(NUM_BYTES)


def digest(token: str) -> bytes:
    """What the database keeps. So long a random secret needs neither salt nor a slow hash."""
    return hashlib.sha256(token.encode()).digest()
