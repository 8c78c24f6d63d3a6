"""Prediction ids that sort by time."""

import secrets
import time
from uuid import UUID


def prediction_id() -> str:
    """A UUID version 7: milliseconds since 1970, then 74 random bits (RFC 9562, section 5.7)."""
    value = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
