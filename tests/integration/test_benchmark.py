"""The benchmark gate on two real checkouts: processes of either side, timed by turns."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from conftest import commit, git
from preflight import lineage
from preflight.champion import Champion
from preflight.gates import benchmark, limits, load
from preflight.gates.case import Case
from preflight.gates.run import opened

SLOW = "        found: Matrix = self._output(matrix)\n"


@pytest.fixture
def case(built: Path, checkout: Path) -> Iterator[Case]:
    """A change whose predictions sleep, against the small repository as it was."""
    model = checkout / "src/taxi/model.py"
    model.write_text(
        model.read_text().replace(SLOW, f'{SLOW}        __import__("time").sleep(0.02)\n')
    )
    commit(checkout, "Sleep")
    known = limits.load(checkout / "params.yaml")
    few = known.model_copy(update={"benchmark": known.benchmark.model_copy(update={"min_sets": 3})})
    base = git(built, "rev-parse", "HEAD").strip()
    with opened(
        checkout, lineage.head(checkout), Champion("merge base", base, built), few
    ) as found:
        yield found


def test_a_sleep_in_predict_is_red_and_features_beside_it_are_not(case: Case) -> None:
    with patch.object(benchmark, "WORKLOADS", ("predict-one", "features")):
        found = benchmark.judge(case)
    told = {line.check: line for line in found.evidence}
    assert told["predict-one"].status == "fail"
    assert told["features"].status != "fail"
    assert [row[0] for row in found.tables[0].rows] == ["predict-one", "features"]
    assert found.headlines[0].candidate > 20_000  # type: ignore[operator]


def test_training_is_timed_in_the_environment_of_development(case: Case) -> None:
    found = benchmark.measured(case, "training")
    assert 0 < found.seconds("head") < 60


def test_what_runs_the_same_bytes_is_not_timed(built: Path, checkout: Path) -> None:
    (checkout / "README.md").write_text("other words\n")
    commit(checkout, "Say it otherwise")
    known = limits.load(checkout / "params.yaml")
    base = git(built, "rev-parse", "HEAD").strip()
    with opened(
        checkout, lineage.head(checkout), Champion("merge base", base, built), known
    ) as found:
        for gate in (benchmark, load):
            (line,) = gate.judge(found).evidence
            assert (line.gate, line.status, line.check) == (gate.GATE, "pass", "unchanged")
