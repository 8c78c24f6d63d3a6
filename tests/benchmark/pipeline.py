"""`make bench-pipeline`: measure the pipeline, print the table of docs/benchmarks.md.

Medians of runs in turn on this machine, and ratios of two things run in turn. Parts that need
real months say so when TLC_DIR is not set.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import polars as pl
import yaml

from preflight import bento, reference, registry, workspace
from preflight.files import read_json
from preflight.layout import PACKAGED
from preflight.predictor import Predictor
from taxi import synthetic

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
BARE = """
import os, sys
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
for name in ("pandas", "sklearn"):
    sys.modules[name] = None
import lightgbm, numpy, polars, yaml
params = yaml.safe_load(open("params.yaml"))["model"]
rows = polars.read_parquet("data/split/train.parquet")
zones = polars.read_csv("data/lookup.csv", null_values=[])
borough = numpy.zeros(266)
names = ["Unknown", *sorted(set(zones["borough"]) - {"Unknown"})]
for zone, name in zip(zones["zone"], zones["borough"]):
    borough[zone] = names.index(name)
at, up, down = rows["pickup_at"], rows["pickup_zone"].to_numpy(), rows["dropoff_zone"].to_numpy()
minute = at.dt.hour().cast(polars.Int64).to_numpy() * 60 + at.dt.minute().to_numpy()
matrix = numpy.column_stack([up, down, rows["trip_distance"].to_numpy(), minute,
    at.dt.weekday().to_numpy() - 1, up == down, borough[up], borough[down]]).astype(float)
rounds = params.pop("rounds"); params.pop("features")
params |= dict(objective="regression", deterministic=True, force_col_wise=True, verbose=-1)
target = rows["duration_minutes"].to_numpy()
data = lightgbm.Dataset(matrix, target, categorical_feature=[0, 1, 6, 7])
lightgbm.train(params, data, rounds).save_model(sys.argv[1])
"""

Row = tuple[str, str, str]


def say(text: str) -> None:
    """Show progress."""
    click.echo(text, err=True)


def timed(root: Path, *command: str) -> float:
    """Seconds of one run of a command in a checkout."""
    start = time.monotonic()
    workspace.run(root, *command)
    return time.monotonic() - start


def medians(runs: int, *measure: Callable[[], float]) -> list[float]:
    """Medians of several measurements, made in turn."""
    found = [[each() for each in measure] for _ in range(runs)]
    return [statistics.median(values) for values in zip(*found, strict=True)]


def prepared(place: Path, overlay: dict[str, object]) -> Path:
    """A clone of HEAD under `place` with keys laid over its parameters."""
    file = place / "overlay.yaml"
    file.write_text(yaml.safe_dump(overlay))
    workspace.clone(ROOT, place / "clone", file)
    return place / "clone"


def real_months() -> Path | None:
    """The folder of real months, if there is one."""
    named = os.environ.get("TLC_DIR")
    return (ROOT / named).resolve() if named else None


def accuracy(place: Path, source: Path) -> list[Row]:
    """Errors under the published conditions, and intervals under the default ones."""
    months = ["2021-01", "2021-02", "2021-03"]
    data = {"source": str(source), "months": months}
    published = yaml.safe_load((HERE / "published.yaml").read_text())
    root = prepared(place, {"data": data, **published})
    workspace.run(root, "dvc", "repro")
    counts, errors = zip(*(scored(root, month) for month in months[1:]), strict=True)
    root = prepared(place, {"data": data})
    workspace.run(root, "dvc", "repro")
    return [
        (
            f"RMSE, profile `published`, {counts[0]:,} and {counts[1]:,} rows",
            "<= 5.38 and <= 5.30",
            f"{errors[0]:.3f} and {errors[1]:.3f}",
        ),
        *intervals(root, months[1:]),
    ]


def scored(root: Path, month: str) -> tuple[int, float]:
    """Rows and RMSE of one month's file, rows dated outside it included."""
    model = Predictor(root / PACKAGED)
    rows = pl.read_parquet(root / f"data/valid/{month}.parquet")
    value = model.answer({name: rows[name].to_numpy() for name in rows.columns}).value
    target = rows[model.contract.target.name].to_numpy()
    return len(rows), float(np.sqrt(np.mean((value - target) ** 2)))


def intervals(root: Path, months: list[str]) -> list[Row]:
    """Coverage and mean width, against a constant width of equal coverage."""
    model = Predictor(root / PACKAGED)
    column = model.contract.target
    ends = (float(column.minimum), float(column.maximum))  # type: ignore[arg-type]
    test = pl.read_parquet(root / "data/split/test.parquet")
    rows = []
    for month in months:
        part = test.filter(pl.col("pickup_at").dt.strftime("%Y-%m") == month)
        answers = model.answer({name: part[name].to_numpy() for name in part.columns})
        assert answers.lower is not None and answers.upper is not None
        target = part["duration_minutes"].to_numpy()
        covered = ((target >= answers.lower) & (target <= answers.upper)).mean()
        half = np.quantile(np.abs(target - answers.value), covered)
        above, below = (np.clip(answers.value + sign * half, *ends) for sign in (1, -1))
        constant = (above - below).mean()
        width = (answers.upper - answers.lower).mean()
        rows.append(
            (
                f"90% intervals on {month}: coverage; mean width against constant width",
                "85-93%; narrower",
                f"{covered:.1%}; {width:.2f} against {constant:.2f} minutes",
            )
        )
    return rows


def training(place: Path) -> list[Row]:
    """The train stage against a bare script that fits the same model on the same files."""
    root = prepared(place, {})
    workspace.run(root, "dvc", "repro")
    script = place / "bare.py"
    script.write_text(BARE)
    ours, bare = medians(
        5,
        lambda: timed(root, "python", "-m", "preflight.stages", "train"),
        lambda: timed(root, "python", str(script), str(place / "bare.txt")),
    )
    trees = [
        path.read_text().split("end of trees")[0].split("Tree=0", 1)[1]
        for path in (root / "models/fitted/booster.txt", place / "bare.txt")
    ]
    same = "equal trees" if trees[0] == trees[1] else "OTHER TREES"
    return [
        (
            "`train` stage against a bare script",
            "<= 1.3 x",
            f"{ours / bare:.2f} x ({ours:.1f} s, {bare:.1f} s; {same})",
        )
    ]


def no_op(place: Path) -> list[Row]:
    """`dvc repro` with nothing to do, 12 months."""
    months = [f"2021-{number:02d}" for number in range(1, 13)]
    small = {"generator": {"rows": 4_000}, "model": {"rounds": 5}}
    root = prepared(place, {"data": {"months": months}, "validate": {"min_rows": 100}, **small})
    workspace.run(root, "dvc", "repro")
    (seconds,) = medians(5, lambda: timed(root, "dvc", "repro"))
    return [("no-op `dvc repro`, 12 months", "<= 2.5 s", f"{seconds:.1f} s")]


def large_month(place: Path) -> list[Row]:
    """Ingest, validate and split of a month of 7.6 million rows, against 76,000."""
    found = {}
    for rows in (76_000, 7_600_000):
        folder = place / f"tlc-{rows}"
        folder.mkdir()
        for month, count in (("2021-01", rows), ("2021-02", 5_000)):
            synthetic.scan(month, count, 7).sink_parquet(folder / f"green_tripdata_{month}.parquet")
        _lookup(folder)
        root = prepared(
            place,
            {
                "data": {"source": str(folder), "months": ["2021-01", "2021-02"]},
                "validate": {"max_volume_ratio": 1e6, "min_rows": 100},
                "split": {"test_months": 1},
            },
        )
        found[rows] = [
            sum(values) if position == 0 else max(values)
            for position, values in enumerate(zip(*map(measured, _steps(root)), strict=True))
        ]
        shutil.rmtree(folder)
    (small, _), (seconds, memory) = found[76_000], found[7_600_000]
    return [
        (
            "ingest + validate + split, one month of 7.6 million rows",
            "<= 1.5 GiB, <= 30 s",
            f"{memory:.2f} GiB, {seconds:.0f} s ({seconds / small:.0f} x 76,000 rows)",
        )
    ]


def _lookup(folder: Path) -> None:
    lines = [",".join(map(str, row)) for row in synthetic.zone_table()]
    header = "LocationID,Borough,Zone,service_zone"
    (folder / "taxi_zone_lookup.csv").write_text("\n".join([header, *lines]) + "\n")


def _steps(root: Path) -> list[tuple[Path, list[str]]]:
    workspace.run(root, "python", "-m", "preflight.stages", "ingest", "2021-02")
    return [(root, ["ingest", "2021-01"]), (root, ["validate"]), (root, ["split"])]


def measured(step: tuple[Path, list[str]]) -> tuple[float, float]:
    """Seconds and peak GiB of one stage, in a process of its own."""
    root, (stage, *words) = step
    meter = (
        "import resource, subprocess, sys, time\n"
        "start = time.monotonic()\n"
        "subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "sys.stdout.write(f'{time.monotonic() - start} {peak}')\n"
    )
    command = [sys.executable, "-c", meter, sys.executable, "-m", "preflight.stages", stage]
    seconds, peak = workspace.run(root, *command, *words).stdout.split()
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return float(seconds), int(peak) / unit


def served(place: Path) -> list[Row]:
    """Served values against in-process values, 10,000 trips."""
    root = prepared(place, {})
    workspace.run(root, "dvc", "repro")
    workspace.commit(root, "Record the pipeline's run in dvc.lock")
    registry.register(root)
    folder = bento.build(root)
    model = Predictor(root / PACKAGED)
    columns = reference.columns(model.contract, 10_000, seed=4)
    expected = model.given(columns).tolist()
    with bento.served(ROOT, folder, root) as server:
        body = {"instances": reference.instances(columns)}
        answers = bento.ask(server, "/v1/predict/batch", body)["predictions"]
    equal = sum(got["value"] == want for got, want in zip(answers, expected, strict=True))
    return [
        (
            "served value against in-process value, 10,000 trips",
            "equal to the last bit",
            f"{equal:,} equal",
        )
    ]


def gates(place: Path) -> list[Row]:
    """All gates and the report on a month of 76,000 rows, cold and with the champion at hand."""
    overlay: dict[str, object] = {"generator": {"rows": 76_000}, "split": {"test_months": 1}}
    source = real_months()
    data = {"source": str(source)} if source else {}
    root = prepared(place, {"data": data | {"months": ["2021-01", "2021-02"]}, **overlay})
    (root / ".venv-serve").symlink_to(ROOT / ".venv-serve")
    (root / ".git/info/exclude").write_text(".venv-serve\n")
    workspace.run(root, "git", "remote", "remove", "origin")
    workspace.run(root, "dvc", "repro")
    workspace.commit(root, "The champion")
    workspace.run(root, "git", "checkout", "--quiet", "-b", "change")
    text = (root / "params.yaml").read_text().replace("  seed: 1\n", "  seed: 2\n")
    (root / "params.yaml").write_text(text)
    workspace.run(root, "dvc", "repro")
    workspace.commit(root, "Another seed")
    cold, warm = (timed(root, "preflight", "gates") for _ in range(2))
    start = time.monotonic()
    workspace.run(root, "preflight", "report", check=False)  # no tests ran: not ready
    report = time.monotonic() - start
    parts = [read_json(path) for path in sorted((root / "reports/evidence").glob("*.json"))]
    say("\n".join(f"  {part['gate']:12} {part['seconds']:6.1f} s" for part in parts))
    kind = "real month" if source else "month"
    return [
        (
            f"all gates and the report, one {kind} of 76,000 rows, warm",
            "<= 3 minutes",
            f"{warm + report:.0f} s ({cold + report:.0f} s when the champion must be brought)",
        )
    ]


def environment(place: Path) -> list[Row]:
    """Size of the service's lock, freshly installed."""
    folder = place / "serve"
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    workspace.run(ROOT, *venv)
    lock = str(ROOT / "requirements/serve.txt")
    command = ("uv", "pip", "sync", "--quiet", "--require-hashes", "--python", str(folder), lock)
    workspace.run(ROOT, *command)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return [("service lock, installed", "<= 280 MB", f"{size:.0f} MB")]


def demo(place: Path) -> list[Row]:
    """`make demo` cold: in a fresh clone with the environment, and with nothing but a cache."""
    for name in ("TLC_DIR", "MONTHS"):
        os.environ.pop(name, None)
    workspace.clone(ROOT, place / "clone")
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run() -> float:
        start = time.monotonic()
        subprocess.run(
            ["make", "demo"], cwd=place / "clone", env=variables, check=True, capture_output=True
        )
        return time.monotonic() - start

    nothing = run()
    (cold,) = medians(3, run)
    return [
        ("cold `make demo` with two rollouts, environment installed", "<= 240 s", f"{cold:.0f} s"),
        ("the same with a warm download cache and no environment", "<= 300 s", f"{nothing:.0f} s"),
    ]


def main(chosen: list[str]) -> None:
    """Measure all parts, or those named; print a Markdown table."""
    os.environ.update(workspace.QUIET)
    rows: list[Row] = []
    source = real_months()
    parts: dict[str, Callable[[Path], list[Row]]] = {
        "training": training,
        "no_op": no_op,
        "large_month": large_month,
        "served": served,
        "gates": gates,
        "environment": environment,
        "demo": demo,
    }
    if source:
        parts = {"accuracy": lambda place: accuracy(place, source), **parts}
    else:
        say("TLC_DIR is not set: accuracy on real months is not measured")
    for name, part in parts.items():
        if not chosen or name in chosen:
            say(f"bench-pipeline: {name} …")
            with TemporaryDirectory(prefix="preflight-bench-") as place:
                rows += part(Path(place).resolve())
            say("\n".join(f"  {what}: {value}" for what, _, value in rows[-2:]))
    click.echo("| what | reach | measured |\n|---|---|---|")
    for row in rows:
        click.echo("| " + " | ".join(row) + " |")
    versions = {"python": platform.python_version(), "polars": pl.__version__}
    click.echo(f"\n{os.cpu_count()} cores, {platform.machine()}, {json.dumps(versions)}")


if __name__ == "__main__":
    main(sys.argv[1:])
