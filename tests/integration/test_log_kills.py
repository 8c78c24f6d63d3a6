"""A service of a real Bento whose processes are all killed under load, three times."""

from pathlib import Path

import pytest

import logged
from benchmark.kills import Kept, killed, read
from served import TWO, packaged

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture(scope="module")
def kept(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """What callers and the log hold after three kills."""
    return killed(built, packaged(built), tmp_path_factory.mktemp("killed"), 3, TWO)


def test_what_was_answered_is_in_the_log_though_its_process_died(kept: Kept) -> None:
    assert len(kept.answered) > 100
    assert kept.missing == 0


def test_no_record_is_damaged_or_written_twice(kept: Kept) -> None:
    assert kept.damaged == 0
    assert kept.records == len(kept.logged)


def test_a_lost_record_and_a_damaged_line_would_be_seen(tmp_path: Path) -> None:
    (record,) = logged.predictions(1)
    logged.write(tmp_path, "predictions", [record])
    (segment,) = tmp_path.glob("predictions/*")
    segment.write_bytes(segment.read_bytes() + b'{"id":"half\n')
    found = Kept(answered={record["id"], "another"})
    read(tmp_path / "predictions", found)
    assert (found.missing, found.records, found.damaged) == (1, 1, 1)
