"""Ids are UUIDs of version 7 that sort by time, whatever the clock does."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from preflight.serving.ids import Ids


def stamp(text: str) -> int:
    """Milliseconds since 1970, by the id."""
    return UUID(text).int >> 80


def test_an_id_is_a_uuid_of_version_7_in_its_usual_spelling() -> None:
    made = Ids()
    for text in [*(made.one() for _ in range(1_000)), *made.many(1_000)]:
        found = UUID(text)
        assert (found.version, found.variant, str(found)) == (7, RFC_4122, text)


def test_an_id_carries_the_present_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    found = stamp(Ids().one())
    assert before <= found <= time.time_ns() // 1_000_000


def test_a_hundred_thousand_ids_are_unique_and_sort_by_time() -> None:
    made = Ids()
    found = [made.one() for _ in range(50_000)] + made.many(50_000)
    assert len(set(found)) == 100_000
    stamps = [text[:13] for text in found]
    assert stamps == sorted(stamps)


def test_two_makers_do_not_repeat_each_other() -> None:
    assert not set(Ids().many(10_000)) & set(Ids().many(10_000))


def test_a_clock_set_back_does_not_take_the_ids_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made, now = Ids(), 1_700_000_000_000
    clock = iter([now, now - 3_600_000, now - 1, now + 5])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock) * 1_000_000)
    stamps = [stamp(each) for each in (made.one(), made.one(), *made.many(1), made.one())]
    assert stamps == [now, now, now, now + 5]


def test_threads_that_ask_at_once_get_different_ids() -> None:
    made = Ids()
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(made.many, [5_000] * 16))
    found = [each for batch in batches for each in batch]
    assert len(set(found)) == 80_000
    assert {UUID(each).version for each in found[::100]} == {7}


def test_the_randomness_of_neighbours_differs() -> None:
    assert len({each[14:] for each in Ids().many(5_000)}) == 5_000
