"""Ids that sort by time, of one prediction and of many."""

import secrets
import time

_last = 0  # milliseconds: ids keep their order when the clock is set back


def prediction_id() -> str:
    """A UUID version 7: milliseconds since 1970, then 74 random bits (RFC 9562, section 5.7)."""
    return prediction_ids(1)[0]


def prediction_ids(count: int) -> list[str]:
    """`count` ids of the present millisecond.

    A clock that goes back does not take the ids with it (RFC 9562, section 6.1).
    """
    global _last  # noqa: PLW0603 (the order holds for the whole process)
    _last = max(_last, time.time_ns() // 1_000_000)
    stamp = f"{_last:012x}"
    head = f"{stamp[:8]}-{stamp[8:]}-7"
    # 19 hexadecimal digits each: 3, then one that holds the variant, then 15.
    digits = secrets.token_hex(10 * count)
    return [
        f"{head}{part[:3]}-{VARIANT[part[3]]}{part[4:7]}-{part[7:19]}"
        for part in (digits[start : start + 20] for start in range(0, 20 * count, 20))
    ]


VARIANT = {f"{digit:x}": f"{8 | digit & 3:x}" for digit in range(16)}
