"""Honest changes, generated: seeds, small parameter moves, refactorings, row order, months."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from faults.changes import Change, append, both, edit, lay, remove, write

FEATURES, MODEL, TLC = "src/taxi/features.py", "src/taxi/model.py", "src/taxi/tlc.py"
SEEDS, MOVES, ORDERS = 45, 60, 15
# Small moves of a parameter: relative, or to one of a list.
RELATIVE = {
    "rounds": 0.12,
    "num_leaves": 0.15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 0.25,
    "cat_smooth": 0.25,
    "min_data_per_group": 0.25,
}
LISTED = {"feature_fraction": (0.75, 0.85, 0.9), "bagging_fraction": (0.75, 0.85, 0.9)}
TEXTS: dict[str, Change] = {
    "hours and minutes instead of a difference": edit(
        FEATURES,
        (
            '    minutes: Array = (time - time.astype("datetime64[D]")) // np.timedelta64(1, "m")\n',
            '    day = time.astype("datetime64[D]")\n'
            '    hours: Array = (time.astype("datetime64[h]") - day).astype(np.int64)\n'
            '    late = time.astype("datetime64[m]") - time.astype("datetime64[h]")\n'
            "    minutes: Array = 60 * hours + late.astype(np.int64)\n",
        ),
    ),
    "a helper renamed": edit(
        FEATURES,
        ("def _weekday(", "def _day_of_week("),
        ('Monday is 0", _weekday)', 'Monday is 0", _day_of_week)'),
    ),
    "the matrix stacked instead of filled": edit(
        FEATURES,
        (
            '    rows = len(columns["pickup_at"])\n'
            "    matrix = np.empty((rows, len(names)), dtype=np.float64)\n"
            "    for position, name in enumerate(names):\n"
            "        matrix[:, position] = CATALOGUE[name].of(columns, lookup)\n"
            "    return matrix\n",
            "    found = [CATALOGUE[name].of(columns, lookup) for name in names]\n"
            "    return np.column_stack(found).astype(np.float64)\n",
        ),
    ),
    "a comment": append(FEATURES, "\n# Hours are local: the city's rush hours are what matters.\n"),
    "a docstring": edit(MODEL, ('"""The model: LightGBM on trips', '"""The trip model: LightGBM')),
    "parameters built in another order": edit(
        MODEL,
        (
            '        "objective": "regression",\n        "deterministic": True,\n',
            '        "deterministic": True,\n        "objective": "regression",\n',
        ),
    ),
    "a local variable inlined": edit(
        MODEL,
        (
            "    booster = lightgbm.train(chosen, data, params.rounds)\n"
            "    baseline = Baseline.fit(columns[BASELINE_COLUMN], target)\n"
            "    return TripModel(booster, feature_names(params), baseline)\n",
            "    return TripModel(\n"
            "        lightgbm.train(chosen, data, params.rounds),\n"
            "        feature_names(params),\n"
            "        Baseline.fit(columns[BASELINE_COLUMN], target),\n"
            "    )\n",
        ),
    ),
    "same zone by a difference": edit(
        FEATURES,
        (
            'lambda c, _: c["pickup_zone"] == c["dropoff_zone"]',
            'lambda c, _: (c["pickup_zone"] - c["dropoff_zone"]) == 0',
        ),
    ),
}
ORDER = (
    "reverse()",
    'sort("trip_distance")',
    'sort("duration_minutes")',
    'sort("rider_id")',
    'sort("pickup_zone", "pickup_at")',
    'sort("dropoff_zone", "pickup_at")',
    'sort("pickup_at")',
    'sort("total_amount")',
)
APART: dict[str, Change] = {
    "a test added": append(
        "tests/unit/test_metrics.py",
        "\n\ndef test_no_rows_are_kept_by_an_empty_mask() -> None:\n"
        "    assert len(ROWS.where(ROWS.target > 9)) == 0\n",
    ),
    "a page of documentation": append("docs/fork.md", "\nAsk for help early.\n"),
    "limits tightened": lay(gates={"quality": {"max_rmse": 5.9}, "slices": {"max_bias": 1.4}}),
    "a whole waiver that is in force": write(
        ".github/waivers.yaml",
        "waivers: []\n",
    ),
    "a setting of the service": lay(serving={"max_batch": 5000}),
}
OLDEST = "data/raw/2021-01.parquet"
# Months, and files of months that leave.
MONTHS: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "a new month": ({"months": ["2021-01", "2021-02", "2021-03", "2021-04"]}, ()),
    "a new month for the oldest": ({"months": ["2021-02", "2021-03", "2021-04"]}, (OLDEST,)),
    "two new months": ({"months": ["2021-01", "2021-02", "2021-03", "2021-04", "2021-05"]}, ()),
    "an older month beside the others": (
        {"months": ["2020-12", "2021-01", "2021-02", "2021-03"]},
        (),
    ),
}


@dataclass(frozen=True)
class Honest:
    """A change that no gate may stop; `thorough` ones also go through Bento, MLflow and suites."""

    name: str
    kind: str
    change: Change
    thorough: bool = False


def generated(seed: int = 1) -> list[Honest]:
    """All honest changes of a study, the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311
    found = [
        *(Honest(f"seed {n}", "seeds", lay(model={"seed": n})) for n in range(2, 2 + SEEDS)),
        *(_move(draw, number) for number in range(MOVES)),
        *_texts(draw),
        *_orders(),
        *_months(draw),
        *(Honest(name, "beside the model", change) for name, change in APART.items()),
    ]
    chosen = set(draw.sample(range(len(found)), 10))
    return [
        Honest(each.name, each.kind, each.change, number in chosen)
        for number, each in enumerate(found)
    ]


def _move(draw: random.Random, number: int) -> Honest:
    keys: dict[str, float] = {}
    for name in draw.sample([*RELATIVE, *LISTED], draw.choice((1, 1, 2))):
        if name in LISTED:
            keys[name] = draw.choice(LISTED[name])
        else:
            share = RELATIVE[name]
            factor = draw.choice((1 - share, 1 - share / 2, 1 + share / 2, 1 + share))
            usual = {"rounds": 200, "num_leaves": 127, "learning_rate": 0.08}
            usual |= {"min_data_in_leaf": 30, "cat_smooth": 20.0, "min_data_per_group": 20}
            value = usual[name] * factor
            keys[name] = round(value, 3) if isinstance(usual[name], float) else round(value)
    words = ", ".join(f"{name} {value:g}" for name, value in keys.items())
    return Honest(f"move {number}: {words}", "parameters", lay(model=keys))


def _texts(draw: random.Random) -> Iterator[Honest]:
    """Each refactoring alone, and beside another seed."""
    for name, change in TEXTS.items():
        yield Honest(name, "refactorings", change)
        seed = draw.randrange(100, 1_000)
        yield Honest(
            f"{name}, seed {seed}", "refactorings", both(change, lay(model={"seed": seed}))
        )


def _orders() -> Iterator[Honest]:
    """Rows in another order, which changes what bagging draws."""
    for number in range(ORDERS):
        order = ORDER[number] if number < len(ORDER) else f"sample(fraction=1.0, seed={number})"
        lazy = order if "sample" not in order else f"collect().{order}.lazy()"
        change = edit(
            TLC,
            (
                "        .select(CONTRACT.names)\n",
                f"        .select(CONTRACT.names)\n        .{lazy}\n",
            ),
        )
        yield Honest(f"rows by {order}", "row order", change)


def _months(draw: random.Random) -> Iterator[Honest]:
    """Other months, alone and beside another seed."""
    for name, (data, gone) in MONTHS.items():
        yield Honest(name, "months", both(lay(data=data), remove(*gone)))
        for _ in range(2):
            seed = draw.randrange(100, 1_000)
            change = both(lay(data=data, model={"seed": seed}), remove(*gone))
            yield Honest(f"{name}, seed {seed}", "months", change)
