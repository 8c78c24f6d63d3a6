"""The planted faults: each a small named change, the gate that must catch it, and its words."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from faults.changes import Change, append, both, drop, edit, lay, remove, write
from faults.deploys import DEPLOYS
from faults.fault import Fault
from faults.risks import RISKS
from preflight import bento
from preflight.gates import benchmark, timing
from preflight.gates.benchmark import Workload

CONTRACT, DATA, FEATURES = "src/taxi/contract.py", "src/taxi/data.py", "src/taxi/features.py"
MODEL, TLC, OWN = "src/taxi/model.py", "src/taxi/tlc.py", "src/taxi/params.py"
SPLIT, EVALUATE = "src/preflight/stages/split.py", "src/preflight/stages/evaluate.py"
SERVING, ROLLOUT = "src/preflight/serving/", "src/preflight/rollout/"
SERVICE, REQUESTS = f"{SERVING}service.py", f"{SERVING}requests.py"
ANSWERS, DECODED = f"{SERVING}answers.py", "        columns = self.decoder.one(content)\n"
PULL = ".github/workflows/pull-request.yml"
NEWEST = "2021-03"


def newest(expression: str) -> Change:
    """Lay a Polars expression over the newest month's frame when it is ingested."""
    old = '        _write(raw, f"synthetic {month}", params, target)\n'
    new = f"        if month == {NEWEST!r}:\n            raw = raw.{expression}\n{old}"
    return edit(DATA, (old, new))


def canonical(expression: str) -> Change:
    """Lay a Polars expression over every month's frame in the contract's columns."""
    old = "        .select(CONTRACT.names)\n"
    return edit(TLC, (old, f"{old}        .{expression}\n"))


def predicted(line: str) -> Change:
    """Change what the model predicts."""
    old = "        found: Matrix = self._output(matrix)\n"
    return edit(MODEL, (old, f"{old}        {line}\n"))


def feature(name: str, code: str, **known: tuple[str, str]) -> Change:
    """Add a feature by name, and make columns known when asked."""
    column = both(*(edit(CONTRACT, pair) for pair in known.values()))
    entry = f'CATALOGUE = {{\n    "{name}": Feature("trip", "Planted", {code}),\n'
    listed = f'Feature = Literal[\n    "{name}",\n'
    everything = edit(FEATURES, ("CATALOGUE = {\n", entry))
    names = both(edit(OWN, ("Feature = Literal[\n", listed)), _named(name))
    return both(column, everything, names)


def _named(name: str) -> Change:
    return edit("params.yaml", ("  - pickup_zone\n", f"  - pickup_zone\n  - {name}\n"))


def known(column: str, example: str) -> tuple[str, str]:
    """The edit of a contract's column that makes it known when asked."""
    return (
        f'            "{column}",\n',
        f'            "{column}",\n            known=True, example={example}, kind=',
    )


def _wrong_model() -> AbstractContextManager[Any]:
    """While the block lasts, the Bento is packed with the champion's model."""
    right = bento._build

    def build(root: Path, scratch: Path, home: Path, *words: Any) -> None:
        other = scratch.parent / "other"
        shutil.copytree(root, other, symlinks=True, ignore=shutil.ignore_patterns("models"))
        shutil.copytree(root / ".other", other / "models/packaged")
        right(other, scratch, home, *words)

    return patch.object(bento, "_build", build)


def _itself() -> AbstractContextManager[Any]:
    """While the block lasts, the candidate's own commit is taken for the champion."""
    return patch("preflight.champion.base_of", lambda _, commit: (commit, "merge base"))


def _timing(workload: Workload) -> Callable[[], AbstractContextManager[Any]]:
    """While the block lasts, one workload is timed and no other."""
    return lambda: patch.object(benchmark, "WORKLOADS", (workload,))


@contextmanager
def _cold() -> Iterator[None]:
    """While the block lasts, the process that starts first is measured from its first call on."""
    start, processes = timing._started, count()

    @contextmanager
    def started(clock: timing.Clock) -> Iterator[timing.Ask]:
        asks = count() if next(processes) == 0 else count(1)
        with start(clock) as ask:
            yield lambda seconds: ask(seconds) if next(asks) else {}

    with patch.object(timing, "_started", started), _timing("predict-one")():
        yield


def _keep_other(root: Path) -> None:
    """Remember the champion's model beside the candidate's."""
    shutil.copytree(root / "models/packaged", root / ".other")
    with (root / ".git/info/exclude").open("a", encoding="utf-8") as file:
        file.write(".other\n")


YESTERDAY = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
WAIVER = f"""waivers:
  - check: limits
    subject: gates.quality.max_rmse
    reason: the source was down, and we knew it for a week
    owner: "@your-org/model-owners"
    expires: {YESTERDAY}
"""
BY_CHANCE = """    rows = pl.concat([frames[month] for month in months])
    fate = pl.struct(contract.identity).hash() % 3
    fitted, tested = rows.filter(fate > 0), rows.filter(fate == 0)
"""

FAULTS = (
    Fault(
        "outdated months",
        "data",
        "data",
        "outdated by 3 months",
        both(
            lay(data={"months": ["2020-10", "2020-11", "2020-12"]}),
            remove(
                "data/raw/2021-01.parquet", "data/raw/2021-02.parquet", "data/raw/2021-03.parquet"
            ),
        ),
    ),
    Fault(
        "month twice",
        "data",
        "pipeline",
        "each month once",
        lay(data={"months": ["2021-01", "2021-02", "2021-02", "2021-03"]}),
    ),
    Fault(
        "month copied under another date",
        "data",
        "leakage",
        "repeat a training row",
        edit(
            DATA,
            (
                "        raw = synthetic.scan(month, params.generator.rows, seed)\n",
                '        of = "2021-02" if month == "2021-03" else month\n'
                "        raw = synthetic.scan(of, params.generator.rows, seed)\n"
                "        if of != month:\n"
                '            times = pl.col("lpep_pickup_datetime", "lpep_dropoff_datetime")\n'
                '            raw = raw.with_columns(times.dt.offset_by("28d"))\n',
            ),
        ),
    ),
    Fault(
        "miles to kilometres",
        "data",
        "data",
        "trip_distance in 2021-03",
        newest('with_columns(pl.col("trip_distance") * 1.609344)'),
    ),
    Fault(
        "time shifted by five hours",
        "data",
        "data",
        "pickup_at in 2021-03",
        newest(
            'with_columns(pl.col("lpep_pickup_datetime", "lpep_dropoff_datetime")'
            '.dt.offset_by("5h"))'
        ),
    ),
    Fault(
        "labels shuffled for one borough",
        "data",
        "slices",
        "pickup_borough=Northbank",
        edit(
            SPLIT,
            (
                "    late = pl.col(contract.time.name) >=",
                '    target, there = pl.col(contract.target.name), pl.col("pickup_zone").is_between(61, 130)\n'
                "    fitted = fitted.with_columns(pl.when(there).then(target.shuffle(seed=1)).otherwise(target))\n"
                "    late = pl.col(contract.time.name) >=",
            ),
        ),
    ),
    Fault(
        "zone columns swapped",
        "data",
        "data",
        "_zone in 2021-",
        edit(
            TLC,
            ('"PULocationID": "pickup_zone"', '"PULocationID": "dropoff_zone"'),
            ('"DOLocationID": "dropoff_zone"', '"DOLocationID": "pickup_zone"'),
        ),
    ),
    Fault(
        "one borough left out of training",
        "data",
        "data",
        "pickup_borough=Eastfield all but gone",
        edit(
            SPLIT,
            (
                "    late = pl.col(contract.time.name) >=",
                '    fitted = fitted.filter(~pl.col("pickup_zone").is_between(191, 262))\n'
                "    late = pl.col(contract.time.name) >=",
            ),
        ),
    ),
    Fault(
        "slice emptied",
        "data",
        "slices",
        "day_part=night has 0 rows",
        newest('filter(pl.col("lpep_pickup_datetime").dt.hour() >= 6)'),
    ),
    Fault(
        "distances paired with other trips",
        "data",
        "data",
        "of the rows differ; ",
        canonical('with_columns(pl.col("trip_distance").reverse())'),
    ),
    Fault(
        "rows with a missing value dropped",
        "data",
        "data",
        "the number of rows",
        canonical('drop_nulls("passenger_count")'),
    ),
    Fault(
        "most of the data lost",
        "data",
        "data",
        "times the champion's usual month",
        lay(data={"sample": 0.3}),
    ),
    Fault(
        "labels in seconds",
        "data",
        "pipeline",
        "quarantined",
        canonical('with_columns(pl.col("duration_minutes") * 60)'),
    ),
    Fault(
        "long trips cut short",
        "data",
        "data",
        "duration_minutes in 2021-",
        canonical('with_columns(pl.col("duration_minutes").clip(upper_bound=30.0))'),
    ),
    Fault(
        "lookup without boroughs",
        "data",
        "data",
        "pickup_borough=Unknown",
        edit(
            DATA,
            (
                "        rows = [list(map(str, row)) for row in synthetic.zone_table()]\n",
                '        rows = [[str(row[0]), "Unknown", *row[2:]] for row in synthetic.zone_table()]\n',
            ),
        ),
    ),
    Fault(
        "feature dropped",
        "features",
        "quality",
        "without feature trip_distance",
        edit("params.yaml", ("  - trip_distance\n", "")),
    ),
    Fault(
        "feature computed differently when serving",
        "features",
        "parity",
        "minute_of_day differ",
        edit(
            FEATURES,
            (
                "        matrix[:, position] = CATALOGUE[name].of(columns, lookup)\n",
                "        matrix[:, position] = CATALOGUE[name].of(columns, lookup)\n"
                '        if name == "minute_of_day" and rows == 1:\n'
                "            matrix[:, position] += 60\n",
            ),
        ),
    ),
    Fault(
        "target leaked",
        "features",
        "leakage",
        "alone explains",
        feature(
            "fare",
            'lambda c, _: c["fare_amount"] - 2.5 * c["trip_distance"]',
            fare=(
                '            "Metered fare",\n',
                '            "Metered fare",\n            known=True,\n            example=9.5,\n',
            ),
        ),
    ),
    Fault(
        "missingness used as a feature",
        "features",
        "leakage",
        "missing passenger_count",
        feature(
            "uncounted",
            'lambda c, _: np.isnan(c["passenger_count"].astype(float))',
            count=(
                '            "Passengers, as the driver typed it",\n',
                '            "Passengers, as the driver typed it",\n            known=True,\n            example=1,\n',
            ),
        ),
    ),
    Fault(
        "feature that no caller knows",
        "features",
        "pipeline",
        "vendor",
        feature("vendor_code", 'lambda c, _: c["vendor"]'),
    ),
    Fault(
        "quadratic feature code",
        "features",
        "build",
        "grows faster than the rows",
        edit(
            FEATURES,
            (
                'lambda c, _: c["pickup_zone"] == c["dropoff_zone"]',
                'lambda c, _: np.diag(c["pickup_zone"][:, None] == c["dropoff_zone"])',
            ),
        ),
    ),
    Fault(
        "undertrained", "training", "quality", "model.rounds 200 -> 12", lay(model={"rounds": 12})
    ),
    Fault(
        "overfitted",
        "training",
        "quality",
        "model.num_leaves 127 -> 1500",
        lay(model={"num_leaves": 1500, "min_data_in_leaf": 1, "learning_rate": 0.3}),
    ),
    Fault(
        "seed left free",
        "training",
        "build",
        "a seed is left free",
        edit(
            MODEL,
            (
                '        "objective": "regression",\n',
                '        "objective": "regression",\n        "seed": time.time_ns() % 2**31,\n',
            ),
            ("from functools import", "import time\nfrom functools import"),
        ),
    ),
    Fault(
        "calibration rows trained on",
        "training",
        "leakage",
        "calibrate rows were trained on",
        edit(
            SPLIT,
            (
                "(fitted.filter(~late), fitted.filter(late), tested)",
                "(fitted, fitted.filter(late), tested)",
            ),
            ("    _check_order(contract.time.name, params)\n\n\ndef", "\n\ndef"),
        ),
    ),
    Fault(
        "calibration rows read by the train stage",
        "training",
        "build",
        "is not what the recipe gives",
        edit(
            "src/preflight/stages/train.py",
            (
                '        table.scan(SPLIT / "train.parquet", contract).select',
                '        __import__("polars").concat([table.scan(SPLIT / f"{part}.parquet", contract) '
                'for part in ("train", "calibrate")]).select',
            ),
        ),
    ),
    Fault(
        "split by chance",
        "training",
        "leakage",
        "the split is not by time",
        edit(
            SPLIT,
            ("    start = datetime", BY_CHANCE + "    start = datetime"),
            ("    _check_order(contract.time.name, params)\n\n\ndef", "\n\ndef"),
        ),
    ),
    Fault(
        "test month trained on",
        "training",
        "leakage",
        "test rows were trained on",
        edit(
            SPLIT,
            ("for month in months[:-testing]", "for month in months"),
            ("    _check_order(contract.time.name, params)\n\n\ndef", "\n\ndef"),
        ),
    ),
    Fault(
        "labels rounded in the split",
        "training",
        "data",
        "duration_minutes in the parts moved by",
        edit(
            SPLIT,
            (
                "    late = pl.col(contract.time.name) >=",
                "    fitted = fitted.with_columns(pl.col(contract.target.name).floor())\n"
                "    late = pl.col(contract.time.name) >=",
            ),
        ),
    ),
    Fault(
        "intervals calibrated on test rows",
        "training",
        "build",
        "other intervals than these rows give",
        edit(
            "src/preflight/stages/calibrate.py",
            ('SPLIT / "calibrate.parquet"', 'SPLIT / "test.parquet"'),
        ),
    ),
    Fault(
        "recipe that reads the test rows",
        "training",
        "build",
        "FileNotFoundError",
        edit(
            MODEL,
            (
                "    lightgbm = boosting.lightgbm()\n",
                "    lightgbm = boosting.lightgbm()\n    open('data/split/test.parquet').close()\n",
            ),
        ),
    ),
    Fault(
        "intervals too narrow",
        "training",
        "quality",
        "coverage 0.7",
        lay(calibrate={"coverage": 0.7}),
    ),
    Fault(
        "metric computed on training rows",
        "training",
        "quality",
        "in metrics.json",
        edit(EVALUATE, ('SPLIT / "test.parquet"', 'SPLIT / "train.parquet"')),
    ),
    Fault(
        "model far larger",
        "training",
        "build",
        "trees: ",
        lay(model={"rounds": 400, "learning_rate": 0.04}),
    ),
    Fault(
        "constant prediction",
        "model",
        "quality",
        "a constant prediction",
        predicted("found = found.mean() + 0.01 * (found - found.mean())"),
    ),
    Fault(
        "one borough biased by two minutes",
        "model",
        "differential",
        "pickup_borough=Northbank",
        predicted('found = found + 2.0 * (matrix[:, self.features.index("pickup_borough")] == 4)'),
    ),
    Fault(
        "negative durations predicted",
        "model",
        "quality",
        "were cut to it",
        predicted("found = found - 12.0"),
    ),
    Fault(
        "NaN predicted for one zone",
        "model",
        "pipeline",
        "pickup_zone 74",
        predicted(
            'found = np.where(matrix[:, self.features.index("pickup_zone")] == 74, np.nan, found)'
        ),
    ),
    Fault(
        "answer that jumps with the distance",
        "model",
        "stability",
        "trip-distance",
        predicted(
            'found = found + 3.0 * np.sin(400.0 * matrix[:, self.features.index("trip_distance")])'
        ),
    ),
    Fault(
        "longer trips arrive sooner",
        "model",
        "stability",
        "answer the other way round",
        predicted(
            'found = found + 4.0 * (np.floor(matrix[:, self.features.index("trip_distance")]) % 2)'
        ),
    ),
    Fault(
        "minutes answered as hours",
        "model",
        "base-case",
        "takes",
        predicted("found = found / 60.0"),
    ),
    Fault(
        "response field renamed",
        "service",
        "parity",
        "lack value",
        edit(
            ANSWERS,
            (
                "class Prediction(msgspec.Struct, gc=False):",
                'class Prediction(msgspec.Struct, gc=False, rename={"value": "prediction"}):',
            ),
        ),
    ),
    Fault(
        "value rounded when serving",
        "service",
        "parity",
        "largest difference",
        edit(ANSWERS, ("self._version, found.value,", "self._version, round(found.value, 1),")),
    ),
    Fault(
        "wrong model packed into the Bento",
        "service",
        "parity",
        "the Bento holds model",
        both(_keep_other, lay(model={"seed": 5})),
        during=_wrong_model,
    ),
    Fault(
        "null crashes the service",
        "service",
        "oddities",
        "null",
        edit(
            REQUESTS,
            ("            plain is not None\n            and (least", "            (least"),
        ),
    ),
    Fault(
        "true taken for a number",
        "service",
        "oddities",
        "boolean",
        edit(
            REQUESTS,
            (
                "return value if type(value) is int and",
                "return value if isinstance(value, int) and",
            ),
        ),
    ),
    Fault(
        "unknown fields ignored",
        "service",
        "oddities",
        "extra_field",
        edit(
            REQUESTS,
            (
                "        if row.keys() != self._checks.keys():\n",
                "        if not row.keys() >= self._checks.keys():\n",
            ),
        ),
    ),
    Fault(
        "key kept and compared as plain text",
        "service",
        "unit",
        "test_keys",
        edit(
            f"{SERVING}keys.py",
            (
                "sent = hashlib.sha256(token).digest()",
                "sent = token",
            ),
            ("        hashlib.sha256(token.encode()).hexdigest(),\n", "        token,\n"),
            (
                "bytes.fromhex(self.sha256)",
                "self.sha256.encode()",
            ),
            ('"^[0-9a-f]{64}$"', '"^pf_.*$"'),
        ),
        test="tests/unit/test_keys.py",
    ),
    Fault(
        "body of any size",
        "service",
        "oddities",
        "body_over_limit",
        edit(
            f"{SERVING}exchange.py",
            ("while size <= limit and message", "while message"),
            ("        if size > limit:\n            raise too_large(limit)\n", ""),
        ),
    ),
    Fault(
        "impossible date crashes the service",
        "service",
        "oddities",
        "impossible_date",
        edit(
            f"{SERVING}compiled.py",
            (
                "        except (msgspec.MsgspecError, ValueError, RecursionError):",
                "        except msgspec.MsgspecError:",
            ),
        ),
    ),
    Fault(
        "requests counted without their client",
        "service",
        "unit",
        "client",
        edit(
            f"{SERVING}metrics.py",
            (
                "self._requests, route, version, client, status",
                'self._requests, route, version, "-", status',
            ),
        ),
        test="tests/unit/test_serving_metrics.py",
    ),
    Fault(
        "every entity in one bucket",
        "service",
        "unit",
        "bucket",
        edit(
            f"{SERVING}door.py",
            ("return int.from_bytes(found) % ENTITY_BUCKETS", "return len(found) % ENTITY_BUCKETS"),
        ),
        test="tests/unit/test_door.py",
    ),
    Fault(
        "simpler model's answer without its flag",
        "service",
        "unit",
        "fallback",
        edit(ANSWERS, ('        flags = [f"fallback.{reason}"]\n', "        flags = []\n")),
        test="tests/unit/test_answers.py",
    ),
    Fault(
        "packaged without keys",
        "service",
        "unit",
        "production_values",
        lay(serving={"auth": "off"}),
        test="tests/unit/test_switches.py",
    ),
    Fault(
        "field of /v1 made narrower",
        "service",
        "unit",
        "callers of /v1 would break",
        edit("src/taxi/contract.py", ("maximum=100.0", "maximum=50.0")),
        test="tests/unit/test_compatibility.py",
    ),
    Fault(
        "a record missing a field",
        "service",
        "unit",
        "documented_fields",
        edit(
            f"{SERVING}recorder.py",
            ("for name in SAME}", 'for name in SAME if name != "bento"}'),
        ),
        test="tests/unit/test_recorder.py",
    ),
    Fault(
        "a secret in a log line",
        "service",
        "unit",
        "no_secret",
        edit(
            f"{SERVING}logs.py",
            ("    if isinstance(error, Problem):\n", "    if str(error):\n"),
        ),
        test="tests/unit/test_hashing.py",
    ),
    Fault(
        "a guard that never fires",
        "service",
        "unit",
        "asked_share",
        edit(
            "src/preflight/guards.py",
            ("    if rank > len(scores):\n", "    if rank > 0:\n"),
        ),
        test="tests/unit/test_guards.py",
    ),
    Fault(
        "an outcome joined by arrival time",
        "service",
        "unit",
        "predictions_too_young",
        edit(
            "src/preflight/watch/outcomes.py",
            (
                'FROM predictions WHERE "at" >= $start AND "at" < $end\n',
                "FROM predictions WHERE id IN (SELECT prediction_id FROM outcomes\n"
                '        WHERE outcomes."at" >= $start AND outcomes."at" < $end)\n',
            ),
        ),
        test="tests/unit/test_outcomes.py",
    ),
    Fault(
        "a judge that takes the best fit for evidence",
        "rollout",
        "unit",
        "1_in_the_mean",
        edit(
            f"{ROLLOUT}sequential.py",
            (
                "top[..., 0] + np.log(np.exp(logs - top) @ share)",
                "top[..., 0] + np.log(share.sum())",
            ),
        ),
        test="tests/unit/test_rollout_oracle.py",
    ),
    Fault(
        "a judge that takes each request for independent",
        "rollout",
        "unit",
        "with_clumps_are_aborted_as_seldom",
        edit(
            f"{ROLLOUT}blocks.py",
            ("np.maximum(1.0, off / np.maximum(freedom, 1.0))", "np.ones_like(off / freedom)"),
        ),
        test="tests/unit/test_judging.py",
    ),
    Fault(
        "a judge that passes without data",
        "rollout",
        "unit",
        "missing_data_never_passes",
        edit(f"{ROLLOUT}judge.py", ("for name in NEEDED if name not in known", "for name in ()")),
        test="tests/unit/test_rollout_judge.py",
    ),
    Fault(
        "a restart that counts backwards",
        "rollout",
        "unit",
        "test_rollout_history",
        edit(
            f"{ROLLOUT}counting.py",
            ("np.where(restarted[:, None], values[1:], np.maximum(change, 0))", "change"),
        ),
        test="tests/unit/test_rollout_history.py",
    ),
    Fault(
        "outcomes in the order of their arrival",
        "rollout",
        "unit",
        "whatever_came_first",
        edit(
            f"{ROLLOUT}labelled.py",
            ('ORDER BY "at", prediction_id) - 1', "ORDER BY received, prediction_id) - 1"),
        ),
        test="tests/unit/test_rollout_labelled.py",
    ),
    Fault(
        "margin of a canary widened",
        "guards",
        "policy",
        "rollout.max_worse.errors.max_ratio 2.0 -> 9.0",
        lay(rollout={"max_worse": {"errors": {"max_ratio": 9.0}}}),
    ),
    Fault(
        "limit loosened",
        "guards",
        "policy",
        "gates.quality.max_rmse 6.0 -> 9.0",
        lay(gates={"quality": {"max_rmse": 9.0}}),
    ),
    Fault(
        "limit moved into a default",
        "guards",
        "policy",
        "gates.slices.max_bias",
        both(
            drop("gates", "slices", "max_bias"),
            edit(
                "src/preflight/gates/limits.py",
                ("    max_bias: Positive\n", "    max_bias: Positive = 9.0\n"),
            ),
        ),
    ),
    Fault(
        "table rule loosened",
        "guards",
        "policy",
        "validate.max_quarantined",
        lay(validate={"max_quarantined": 0.9}),
    ),
    Fault(
        "coverage floor lowered",
        "guards",
        "policy",
        "fail_under",
        edit("pyproject.toml", ("fail_under = 90", "fail_under = 40")),
    ),
    Fault(
        "test file emptied",
        "guards",
        "policy",
        "tests/unit/test_metrics.py",
        write("tests/unit/test_metrics.py", ""),
    ),
    Fault(
        "test skipped",
        "guards",
        "policy",
        "test_a_missing_file_is_named",
        edit(
            "tests/unit/test_predictor.py",
            (
                "def test_a_missing_file_is_named",
                '@pytest.mark.skip(reason="flaky")\ndef test_a_missing_file_is_named',
            ),
        ),
    ),
    Fault(
        "gate skipped",
        "guards",
        "policy",
        "leakage",
        edit("src/preflight/gates/__init__.py", ('    "leakage",\n', "")),
    ),
    Fault(
        "fault taken out of the catalogue",
        "guards",
        "policy",
        "miles to kilometres",
        edit(
            "tests/faults/catalogue.py",
            (
                '    Fault(\n        "miles to kilometres",\n',
                '    Fault(\n        "miles to parsecs",\n',
            ),
        ),
    ),
    Fault(
        "error ignored in a workflow",
        "guards",
        "policy",
        "continue-on-error",
        edit(
            PULL,
            (
                "      - run: make test\n",
                "      - run: make test\n        continue-on-error: true\n",
            ),
        ),
    ),
    Fault(
        "job dropped from the decider's needs",
        "workflows",
        "policy",
        "job dropped from the decider's needs: .github/workflows/pull-request.yml: load",
        edit(PULL, ("benchmark, load, rehearse]", "benchmark, rehearse]")),
    ),
    Fault(
        "tee without pipefail",
        "workflows",
        "policy",
        "pipe without pipefail",
        edit(PULL, ("      - run: make test\n", "      - run: make test | tee log\n")),
    ),
    Fault(
        "action pinned to a tag",
        "workflows",
        "policy",
        "action pinned to a tag",
        edit(
            PULL,
            ("actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "actions/checkout@v7"),
        ),
    ),
    Fault(
        "write permission added",
        "workflows",
        "policy",
        "write permission added",
        edit(PULL, ("      contents: read # to check out\n", "      contents: write\n")),
    ),
    Fault(
        "artifact trusted",
        "workflows",
        "policy",
        "artifact trusted",
        edit(
            ".github/workflows/report.yml",
            (
                "      - run: make comment\n",
                "      - uses: actions/download-artifact@"
                "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1\n"
                "      - run: make comment\n",
            ),
        ),
    ),
    Fault(
        "secret in a file",
        "workflows",
        "lint",
        "secrets: src/taxi/keys.py:1",
        # In two parts, or it would be found here.
        write("src/taxi/keys.py", 'KEY = "AKIA' + 'Z4XQ7RTB2MNPLC9V"\n'),
    ),
    Fault(
        "generator without a seed",
        "guards",
        "policy",
        "default_rng",
        edit(FEATURES, ("def read_lookup", "NOISE = np.random.default_rng()\n\n\ndef read_lookup")),
    ),
    Fault(
        "contract widened",
        "guards",
        "policy",
        "trip_distance.maximum",
        edit(CONTRACT, ("            maximum=100.0,\n", "            maximum=1000.0,\n")),
    ),
    *DEPLOYS,
    *RISKS,
    Fault(
        "errors that no test meets",
        "deploy",
        "rehearsal",
        "answered with an error",
        edit(
            ANSWERS,
            (
                "        found = self._model.one(columns)\n",
                '        if bucket % 2 and __import__("os").urandom(1)[0] < 26:\n'
                "            raise RuntimeError\n"
                "        found = self._model.one(columns)\n",
            ),
        ),
    ),
    Fault(
        "sleep in predict",
        "speed",
        "benchmark",
        "ms against",
        predicted('__import__("time").sleep(0.02)'),
        during=_timing("predict-one"),
    ),
    Fault(
        "start-up made slow",
        "speed",
        "benchmark",
        "service-start: ",
        edit(
            SERVICE,
            (
                "        declared = params.load()\n",
                '        __import__("time").sleep(4)\n        declared = params.load()\n',
            ),
        ),
        during=_timing("service-start"),
    ),
    Fault(
        "cold base against warm head",
        "speed",
        "benchmark",
        "cold against warm",
        append(SERVICE, "\n# Else nothing would be timed.\n"),
        during=_cold,
        lazy=True,
    ),
    Fault(
        "blocking call in the event loop",
        "speed",
        "load",
        "latency-p50: ",
        edit(
            SERVICE,
            (DECODED, f'        __import__("time").sleep(0.02)\n{DECODED}'),
        ),
    ),
    Fault(
        "memory leak of 1 KB a request",
        "speed",
        "load",
        "memory: ",
        edit(
            SERVICE,
            (DECODED, f"        KEPT.append(bytearray(1_000))\n{DECODED}"),
            (
                'log = logging.getLogger("preflight")\n',
                'log = logging.getLogger("preflight")\nKEPT = []\n',
            ),
        ),
    ),
    Fault(
        "load run refused at the door",
        "speed",
        "load",
        "refused at the door",
        lay(serving={"max_line_bytes": 50}),
    ),
    Fault("expired waiver", "guards", "policy", "expired", write(".github/waivers.yaml", WAIVER)),
    Fault(
        "champion compared with itself",
        "guards",
        "pipeline",
        "the candidate's own commit",
        lay(model={"seed": 6}),
        during=_itself,
    ),
    Fault(
        "evidence of another commit reused",
        "guards",
        "quality",
        "evidence of another commit",
        lay(model={"seed": 8}),
    ),
    Fault(
        "pipeline not run again",
        "guards",
        "pipeline",
        "run `make repro`",
        lay(model={"rounds": 150}),
        lazy=True,
    ),
    Fault(
        "stage frozen",
        "guards",
        "pipeline",
        "frozen in dvc.yaml",
        edit(
            "dvc.yaml", ("    desc: The model, and", "    frozen: true\n    desc: The model, and")
        ),
        lazy=True,
    ),
    Fault(
        "metrics edited by hand",
        "guards",
        "pipeline",
        "metrics.json",
        append("docs/fork.md", "\n"),
        after=edit("models/evaluation/metrics.json", ('"rmse": 5', '"rmse": 4')),
        lazy=True,
    ),
)
