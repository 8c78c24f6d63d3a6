"""Small cases for the tests of the gates: real tables in two folders, and made-up models."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from conftest import ROOT
from preflight import metrics, params, table
from preflight.champion import Champion
from preflight.evidence import Evidence, Findings
from preflight.files import write_json
from preflight.gates import limits
from preflight.gates.case import Case
from preflight.gates.limits import Gates
from preflight.gates.side import Arrays, Side
from preflight.layout import LOOKUP, METRICS, SPLIT, VALID, VALIDATION
from taxi.contract import CONTRACT

Array = NDArray[np.float64]
Fit = Callable[[pl.DataFrame], Array]
Frames = Mapping[str, pl.DataFrame]
MONTHS = ("2021-01", "2021-02", "2021-03")
ROWS = 4_000  # a month
ZONES = 20
BOROUGHS = np.array(("Harbour", "North", "South", "West"))
PARTS = np.array(("night", "morning", "midday", "evening"))
SPREAD = 3.0  # minutes of an outcome about the truth


def number(rows: pl.DataFrame, name: str) -> Array:
    """A column as floating-point numbers; what is missing is NaN."""
    return rows[name].cast(pl.Float64).to_numpy()


def minutes(rows: pl.DataFrame) -> Array:
    """Minutes since midnight at pick-up."""
    time = rows["pickup_at"]
    found: Array = (time.dt.hour().cast(pl.Int64) * 60 + time.dt.minute()).to_numpy().astype(float)
    return found


FEATURES: dict[str, Fit] = {
    "pickup_zone": lambda rows: number(rows, "pickup_zone"),
    "trip_distance": lambda rows: number(rows, "trip_distance"),
    "minute_of_day": minutes,
}


def borough(rows: pl.DataFrame) -> NDArray[np.str_]:
    """Where each trip starts."""
    found: NDArray[np.str_] = BOROUGHS[rows["pickup_zone"].to_numpy() % len(BOROUGHS)]
    return found


def truth(rows: pl.DataFrame) -> Array:
    """The mean outcome of such trips, in minutes."""
    wave = np.sin(minutes(rows) / 1_440 * 2 * np.pi)
    zone = number(rows, "pickup_zone") % len(BOROUGHS)
    found: Array = 6 + 3 * number(rows, "trip_distance") + zone + wave
    return found


def fit(seed: int, shift: Fit | float = 0.0) -> Fit:
    """A model that has learnt the truth, but for the noise of one training, and a shift."""
    noise = np.random.default_rng(seed).normal(0, 0.15, (2, 266))

    def predict(rows: pl.DataFrame) -> Array:
        own = noise[0][rows["pickup_zone"].to_numpy()] + noise[1][rows["dropoff_zone"].to_numpy()]
        found: Array = truth(rows) + own + (shift if isinstance(shift, float) else shift(rows))
        return found

    return predict


@cache
def month(name: str, seed: int = 1, count: int = ROWS) -> pl.DataFrame:
    """A month's valid rows, in order of time, seeded."""
    random = np.random.default_rng([seed, int(name.replace("-", ""))])
    seconds = np.sort(random.integers(0, 27 * 86_400, count)) * np.timedelta64(1_000_000, "us")
    start = np.datetime64(f"{name}-01", "us") + seconds
    known = pl.DataFrame(
        {
            "pickup_at": start,
            "pickup_zone": random.integers(1, ZONES + 1, count),
            "dropoff_zone": random.integers(1, ZONES + 1, count),
            "trip_distance": np.round(random.gamma(2, 1.2, count) + 0.3, 2),
        }
    )
    outcome = np.clip(truth(known) + random.normal(0, SPREAD, count), 1, 60)
    return table_of(known, outcome, random)


def table_of(known: pl.DataFrame, outcome: Array, random: np.random.Generator) -> pl.DataFrame:
    """A request's columns with those that only records have, as the contract types them."""
    count = len(known)
    passengers = random.integers(1, 5, count)
    kept = random.random(count) > 0.1
    rest: dict[str, Any] = {
        "rider_id": random.integers(0, 5_000, count),
        "duration_minutes": outcome,
        "dropoff_at": known["pickup_at"] + pl.Series(outcome * 60e6).cast(pl.Duration("us")),
        "vendor": random.integers(1, 3, count),
        "passenger_count": [
            int(value) if known_one else None
            for value, known_one in zip(passengers, kept, strict=True)
        ],
        "rate_code": [1] * count,
        "payment_type": random.integers(1, 3, count),
        "trip_type": [1] * count,
        "fare_amount": outcome + 2,
        "total_amount": outcome + 3,
    }
    whole = known.with_columns(**{name: pl.Series(values) for name, values in rest.items()})
    return whole.cast(dict(table.schema(CONTRACT)))  # type: ignore[arg-type]


def months(*names: str) -> dict[str, pl.DataFrame]:
    """Rows by month."""
    return {name: month(name) for name in names or MONTHS}


def lay(root: Path, valid: Frames) -> Path:
    """The files of a checkout that gates read: the newest two months are for testing."""
    raw = params.read(ROOT / "params.yaml")
    raw["data"]["months"] = sorted(valid)
    (root / VALID).mkdir(parents=True)
    (root / SPLIT).mkdir()
    (root / "params.yaml").write_text(yaml.safe_dump(raw))
    (root / LOOKUP).write_text("zone,borough\n")
    for name, rows in valid.items():
        rows.write_parquet(root / VALID / f"{name}.parquet")
    counts = {name: {"valid": len(rows), "quarantined": {}} for name, rows in valid.items()}
    write_json(root / VALIDATION, counts)
    ordered = [valid[name] for name in sorted(valid)]
    earlier = pl.concat(ordered[:-2])
    last = earlier["pickup_at"].max()
    late = pl.col("pickup_at") > pl.lit(last) - pl.duration(days=7)
    put(root, train=earlier.filter(~late), calibrate=earlier.filter(late))
    put(root, test=pl.concat(ordered[-2:]))
    return root


def put(root: Path, **parts: pl.DataFrame) -> None:
    """Write parts of a split: train, calibrate or test."""
    for name, rows in parts.items():
        rows.write_parquet(root / SPLIT / f"{name}.parquet")


class StubSide(Side):
    """A side without a process: `fit` answers, and its recipe learns the mean of its rows."""

    def __init__(self, root: Path, name: str, model: Fit, model_hash: str) -> None:
        """`model_hash` stands for the packaged model's bytes."""
        self.root, self.name, self.fit = root, name, model
        self.features = dict(FEATURES)
        self.half: Fit | float = 1.645 * SPREAD
        self.asked: list[int | None] = []
        self.described = {
            "contract": CONTRACT.as_dict(),
            "features": list(FEATURES),
            "categorical": ["pickup_zone"],
            "model_hash": model_hash,
        }

    def predict(self, rows: pl.DataFrame) -> Arrays:
        value = np.clip(self.fit(rows), 1, 60)
        half = self.half if isinstance(self.half, float) else self.half(rows)
        return {
            "value": value,
            "lower": value - half,
            "upper": value + half,
            "baseline": np.full(len(rows), 14.0),
        }

    def slices(self, rows: pl.DataFrame) -> dict[str, NDArray[np.str_]]:
        return {
            "pickup_borough": borough(rows),
            "day_part": PARTS[(minutes(rows) // 360).astype(int)],
            "vendor": rows["vendor"].to_numpy().astype(str),
        }

    def matrix(self, rows: pl.DataFrame) -> Array:
        return np.column_stack([feature(rows) for feature in self.features.values()])

    def refit(
        self, train: Path, lookup: Path, seed: int | None, rows: Sequence[str]
    ) -> tuple[list[Array], dict[str, str]]:
        self.asked.append(seed)
        fitted = pl.read_parquet(train)
        learnt = float((number(fitted, "duration_minutes") - truth(fitted)).mean())
        model = fit(seed or 1, learnt)
        return [np.clip(model(pl.read_parquet(path)), 1, 60) for path in rows], {}

    def write(self, rows: pl.DataFrame) -> str:
        path = self.root / f"asked-{len(rows)}.parquet"
        rows.write_parquet(path)
        return str(path)

    def close(self) -> None:
        """There is nothing to end."""

    def learns(self, **features: Fit) -> None:
        """Give the model more features."""
        self.features |= features
        self.described["features"] = list(self.features)


class StubCase(Case):
    """A case of two made-up models on real tables."""

    candidate: StubSide
    rival: StubSide | None


def case(
    place: Path,
    model: Fit | None = None,
    ours: Frames | None = None,
    theirs: Frames | None = None,
    *,
    first: bool = False,
    **sections: dict[str, Any],
) -> StubCase:
    """A candidate, trained again with another seed, against the champion of seed 1.

    `ours` and `theirs` are rows by month, `sections` keys laid over the shipped limits.
    """
    root = lay(place / "candidate", ours or months())
    candidate = StubSide(root, "candidate", model or fit(2), "c" * 64)
    champion, rival = Champion("baseline"), None
    if not first:
        other = lay(place / "champion", theirs or months())
        champion = Champion("merge base", "b" * 40, other, origin="from the test")
        rival = StubSide(other, "champion", fit(1), "d" * 64)
    return StubCase(root, "a" * 40, champion, known(**sections), candidate, rival, place / "kept")


def known(**sections: dict[str, Any]) -> Gates:
    """The shipped limits with keys laid over them."""
    raw = params.read(ROOT / "params.yaml")
    return limits.parse(params.merge(raw, {"gates": sections}), "params.yaml")


def record(made: StubCase, **changed: float) -> None:
    """Write metrics.json as the evaluate stage would, with some figures changed."""
    found = metrics.summary(made.scored_tested) | changed
    write_json(made.root / METRICS, {"test": found})


def line(findings: Findings, check: str) -> Evidence:
    """The evidence of one check."""
    (found,) = (each for each in findings.evidence if each.check == check)
    return found


def stopped(findings: Findings) -> list[str]:
    """The checks that are not green."""
    return [each.check for each in findings.evidence if each.status != "pass"]


def failing(evidence: Evidence) -> list[str]:
    """The slices that failed."""
    return [each.name for each in evidence.slices if each.status == "fail"]
