"""The pipeline as DVC runs it."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from conftest import change_params, commit, git, run
from preflight import params, workspace

pytestmark = pytest.mark.usefixtures("unmeasured")


def repro(root: Path, *words: str) -> str:
    """Run the pipeline; returns what DVC said."""
    done = run(root, "dvc", "repro", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(said: str) -> list[str]:
    """The stages that really ran."""
    return re.findall(r"Running stage '(.+)'", said)


def test_a_second_run_does_nothing(checkout: Path) -> None:
    assert ran(repro(checkout)) == []
    assert git(checkout, "status", "--porcelain") == ""


def test_one_parameter_reruns_only_what_depends_on_it(checkout: Path) -> None:
    """Which stages would run is asked of DVC, once a parameter."""
    expected = {
        "calibrate": ({"coverage": 0.8}, ["calibrate", "evaluate"]),
        "evaluate": ({"min_slice_rows": 60}, ["evaluate"]),
        "registry": ({"name": "another"}, []),
        "serving": ({"max_batch": 5}, []),
        "model": ({"rounds": 21}, ["train", "calibrate", "evaluate"]),
    }
    for section, (keys, stages) in expected.items():
        change_params(checkout, **{section: keys})
        status = yaml.safe_load(run(checkout, "dvc", "status", "--json").stdout)
        changed = [name for name, found in status.items() if "params.yaml" in str(found)]
        assert changed == stages[:1], section
        git(checkout, "checkout", "params.yaml")
    change_params(checkout, evaluate={"min_slice_rows": 60})
    assert ran(repro(checkout)) == ["evaluate"]


def test_a_month_that_is_taken_out_leaves_training(checkout: Path) -> None:
    change_params(checkout, data={"months": ["2021-02", "2021-03"]}, split={"test_months": 1})
    done = run(checkout, "dvc", "repro")
    assert done.returncode != 0
    assert "data/raw/2021-01.parquet: found a left-over month" in done.stdout + done.stderr
    (checkout / "data/raw/2021-01.parquet").unlink()
    repro(checkout)
    train = pl.read_parquet(checkout / "data/split/train.parquet")
    assert train["pickup_at"].dt.strftime("%Y-%m").unique().to_list() == ["2021-02"]


def test_the_same_run_twice_gives_the_same_bytes(checkout: Path) -> None:
    before = (checkout / "dvc.lock").read_text()
    repro(checkout, "--force")
    assert (checkout / "dvc.lock").read_text() == before
    assert git(checkout, "status", "--porcelain") == ""


def test_metrics_and_plots_differ_by_dvcs_own_commands(checkout: Path) -> None:
    change_params(checkout, model={"rounds": 5})
    repro(checkout)
    metrics = run(checkout, "dvc", "metrics", "diff", "HEAD", "--json")
    assert "test.rmse" in metrics.stdout
    plots = run(checkout, "dvc", "plots", "diff", "HEAD")
    assert plots.returncode == 0, plots.stderr


def test_an_interrupted_run_recovers(checkout: Path) -> None:
    """Ctrl-C while the model is fitted: the next run goes on, with nothing half-written."""
    change_params(checkout, model={"rounds": 100_000})
    environment = workspace.environment(checkout)
    # A process that is interrupted would leave half a coverage file.
    uncovered = {key: environment[key] for key in environment if "COVERAGE" not in key}
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=checkout,
        env=uncovered,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "preflight.stages train" in line:
                break
        time.sleep(0.5)  # somewhere in the middle; any moment must do
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode != 0
    assert "Traceback" not in said
    assert not list(checkout.rglob(".*.partial"))
    change_params(checkout, model={"rounds": 20})
    repro(checkout)
    assert git(checkout, "status", "--porcelain") == ""


def test_a_stage_without_room_says_so_and_leaves_nothing(checkout: Path) -> None:
    shutil.rmtree(checkout / "data/split")
    # Coverage would have no room for its own file either.
    plain = "unset COVERAGE_PROCESS_CONFIG COVERAGE_PROCESS_START; ulimit -f 8"
    done = run(checkout, "sh", "-c", f"{plain} && python -m preflight.stages split")
    assert done.returncode == 1
    assert "no space left while writing" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((checkout / "data/split").glob("*"))


def test_a_month_that_the_source_lacks_is_one_clear_error(checkout: Path) -> None:
    change_params(checkout, data={"source": str(checkout)})
    done = run(checkout, "python", "-m", "preflight.stages", "ingest", "2021-01")
    assert done.returncode == 1
    assert "green_tripdata_2021-01.parquet: found no file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [(), ("2020-01",), ("2021-01", "2021-02")])
def test_ingest_wants_one_month_of_the_list(checkout: Path, words: tuple[str, ...]) -> None:
    done = run(checkout, "python", "-m", "preflight.stages", "ingest", *words)
    assert done.returncode == 1
    assert "expected one of 2021-01, 2021-02, 2021-03" in done.stderr


def test_another_checkouts_code_is_refused(checkout: Path, built: Path) -> None:
    done = subprocess.run(
        ["python", "-m", "preflight.stages", "split"],
        cwd=checkout,
        env=workspace.environment(built),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "found code from" in done.stderr


def test_a_profile_runs_in_a_scratch_clone_and_leaves_the_checkout_alone(checkout: Path) -> None:
    profile = checkout.parent / "fewer.yaml"
    profile.write_text("model: {rounds: 7}\n")
    done = run(checkout, "preflight", "repro", "--profile", str(profile))
    assert done.returncode == 0, done.stderr
    scratch = checkout / ".preflight/profiles/fewer"
    assert params.load(scratch / "params.yaml").model.rounds == 7
    assert ran(done.stdout) == ["train", "calibrate", "evaluate"]
    assert git(checkout, "status", "--porcelain") == ""


def test_a_new_month_ingests_only_itself(checkout: Path) -> None:
    """And what follows: the newest two months are the test."""
    change_params(checkout, data={"months": ["2021-01", "2021-02", "2021-03", "2021-04"]})
    ingested = [name for name in ran(repro(checkout)) if name.startswith("ingest")]
    assert ingested == ["ingest@2021-04"]
    commit(checkout)
