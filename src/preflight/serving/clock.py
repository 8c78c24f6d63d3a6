"""The present time, as records have it."""

import time
from datetime import UTC, datetime
from functools import lru_cache


def now() -> str:
    """The present time in UTC, to the microsecond: as 2026-11-20T08:15:00.000000Z."""
    second, rest = divmod(time.time_ns() // 1_000, 1_000_000)
    return f"{_to_second(second)}.{rest:06}Z"


@lru_cache(2)
def _to_second(second: int) -> str:
    """Most records are of the same second as those before: the rest of a time costs more."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
