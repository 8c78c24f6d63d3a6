"""The drill's scripts, with a kubectl that only keeps what it was told: the cluster is GitHub's."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from preflight import bento
from preflight.deploy import manifests, rendering

DRILL = ROOT / "deploy/drill"
SCRIPTS = sorted(DRILL.glob("*.sh"))
DIGESTS = {name: f"sha256:{each * 64}" for name, each in {"stable": "a", "good": "b"}.items()}
# Answers with the first line of the file `rollout` or `weight`, and takes all but the last away.
KUBECTL = """#!/usr/bin/env bash
echo "$*" >>"$OUT/told"
case "$*" in
  "get rollout "*) file=$OUT/rollout ;;
  "get httproute "*) file=$OUT/weight ;;
  "get analysisruns "*) echo -n continue && exit ;;
  *) exit ;;
esac
head -1 "$file"
[ "$(wc -l <"$file")" -eq 1 ] || sed -i 1d "$file"
"""
HEALTHY, ABORTED = "Healthy||7c9b|7c9b|2|2", "Degraded|true|6d8f|7c9b|2|2"
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs a script of the drill with its words, and OUT in the test's folder."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/kubectl").write_text(KUBECTL)
    (tmp_path / "bin/kubectl").chmod(0o755)
    (tmp_path / "weight").write_text("5\n")
    path = os.pathsep.join(
        [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    variables = os.environ | {"PATH": path, "OUT": str(tmp_path), "EVERY": "0.01"}

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (str(DRILL / name), *words),
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def released(folder: Path) -> None:
    for name, digest in (DIGESTS | {"judge": f"sha256:{'c' * 64}"}).items():
        (folder / f"{name}.digest").write_text(f"{digest}\n")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.name))
def test_a_script_parses_and_stops_at_its_first_failure(path: Path) -> None:
    assert os.access(path, os.X_OK)
    assert "\nset -euo pipefail\n" in path.read_text()
    subprocess.run(("bash", "-n", str(path)), check=True)


def test_the_drill_runs_every_step() -> None:
    steps = re.findall(r"step (\w+\.sh)", (DRILL / "run.sh").read_text())
    assert set(steps) == {path.name for path in SCRIPTS} - {"run.sh", "tell.sh"}


def test_every_version_stands_in_one_file() -> None:
    versions = dict(re.findall(r"^([A-Z_]+)=(\S+)", (DRILL / "versions.env").read_text(), re.M))
    workflow = yaml.safe_load((ROOT / ".github/workflows/drill.yml").read_text(encoding="utf-8"))
    [kind] = [
        step["with"]
        for step in workflow["jobs"]["drill"]["steps"]
        if step.get("uses", "").startswith("helm/kind-action@")
    ]
    assert (kind["version"], kind["node_image"]) == (versions["KIND"], versions["NODE"])
    assert not [path.name for path in SCRIPTS if re.search(r"\bv\d+\.\d+\.\d+\b", path.read_text())]


def test_a_release_puts_digests_into_the_rendered_manifests_and_applies_them(
    script: Script, tmp_path: Path
) -> None:
    released(tmp_path)
    done = script("release.sh", "good")
    assert done.returncode == 0, done.stderr
    found = manifests.read(tmp_path / "good.yaml")
    images = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]["image"]
        for kind in ("Rollout", "Deployment")
        for each in found.all(kind)
    }
    assert images["taxi"] == f"registry.example/taxi@{DIGESTS['good']}"
    assert images["judge"].endswith("c" * 64)
    assert rendering.NONE not in (tmp_path / "good.yaml").read_text()
    assert f"apply --namespace taxi-staging --filename {tmp_path}/good.yaml" in told(tmp_path)
    rendered = manifests.read(ROOT / "deploy/rendered/staging.yaml")
    assert len(found.objects) == len(rendered.objects)


def test_a_revert_applies_the_bytes_of_before(script: Script, tmp_path: Path) -> None:
    released(tmp_path)
    script("release.sh", "stable")
    before = (tmp_path / "stable.yaml").read_bytes()
    script("release.sh", "good")
    script("release.sh", "stable")
    assert (tmp_path / "stable.yaml").read_bytes() == before
    applied = [line.rsplit("/", 1)[1] for line in told(tmp_path).splitlines()]
    assert applied == ["stable.yaml", "good.yaml", "stable.yaml"]


def told(folder: Path) -> str:
    return (folder / "told").read_text()


def test_the_bad_release_is_the_good_one_with_a_fault_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Path("src/preflight/serving/service.py")
    (tmp_path / "bento" / service).parent.mkdir(parents=True)
    (tmp_path / "bento" / service).write_text("class ModelService: ...\n")
    monkeypatch.setattr(bento, "build", lambda _: tmp_path / "bento")
    monkeypatch.setattr(sys, "argv", ["bentos.py", str(tmp_path / "made")])
    runpy.run_path(str(DRILL / "bentos.py"))
    honest, errors = (tmp_path / "made" / each / service for each in ("honest", "errors"))
    assert honest.read_text() == "class ModelService: ...\n"
    assert errors.read_text().startswith(honest.read_text())
    assert "planted.plant(ModelService)" in errors.read_text()


def test_a_rollout_is_awaited_until_it_is_promoted(script: Script, tmp_path: Path) -> None:
    old, moving = "Healthy||6d8f|6d8f|1|2", "Progressing||6d8f|7c9b|2|2"
    (tmp_path / "rollout").write_text(
        "\n".join([old, moving, "Paused||6d8f|7c9b|2|2", HEALTHY, ""])
    )
    (tmp_path / "weight").write_text("0\n5\n20\n0\n")
    done = script("await.sh", "promoted", "30")
    assert done.returncode == 0, done.stderr
    seen = [line.split(",")[1:] for line in (tmp_path / "timeline.csv").read_text().splitlines()]
    assert seen == [
        ["0", "unseen", "continue"],
        ["5", "Progressing", "continue"],
        ["20", "Paused", "continue"],
        ["0", "promoted", "continue"],
    ]


@pytest.mark.parametrize(
    ("wanted", "state", "said"),
    [
        ("promoted", ABORTED, "aborted, and not promoted"),
        ("aborted", HEALTHY, "promoted, and not aborted"),
        ("promoted", "Paused||6d8f|7c9b|2|2", "not promoted within 1 s: Paused"),
    ],
)
def test_another_end_than_the_one_awaited_fails_the_drill(
    script: Script, tmp_path: Path, wanted: str, state: str, said: str
) -> None:
    (tmp_path / "rollout").write_text(f"{state}\n")
    done = script("await.sh", wanted, "1")
    assert done.returncode == 1
    assert said in done.stderr


def test_an_abort_is_recovered_from_by_the_release_of_before(
    script: Script, tmp_path: Path
) -> None:
    released(tmp_path)
    (tmp_path / "rollout").write_text(f"Progressing||7c9b|6d8f|2|2\n{HEALTHY}\n")
    (tmp_path / "weight").write_text("0\n")
    done = script("recover.sh", "good")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "recovered.json").read_text())
    assert found.keys() == {"canary_without_traffic_seconds", "reverted_seconds"}
    assert "good.yaml" in told(tmp_path)


def answered(folder: Path, failing: tuple[float, float]) -> None:
    """A drill of three releases, with requests each second that fail in a stretch."""
    (folder / "releases.csv").write_text("0,stable\n100,good\n200,bad\n300,good\n")
    looks = [
        *("105,0,Progressing,", "110,5,Progressing,continue", "190,0,promoted,promote"),
        *("210,5,Progressing,continue", "290,0,aborted,abort", "310,0,promoted,"),
    ]
    (folder / "timeline.csv").write_text("\n".join(looks) + "\n")
    with (folder / "answers.jsonl").open("w") as file:
        for at in range(90, 320):
            status = 500 if failing[0] <= at < failing[1] else 200
            file.write(json.dumps({"at": at, "entity": "e", "status": status}) + "\n")


def test_the_picture_and_the_figures_are_drawn(tmp_path: Path) -> None:
    answered(tmp_path, (250, 260))
    done = drawn(tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "drill.json").read_text())
    assert [(each["release"], each["state"], each["failed"]) for each in found] == [
        ("good", "promoted", 0),
        ("bad", "aborted", 10),
        ("good", "promoted", 0),
    ]
    assert (tmp_path / "2-bad.svg").read_text().startswith("<svg")


def test_a_caller_whom_a_good_release_failed_fails_the_drill(tmp_path: Path) -> None:
    answered(tmp_path, (150, 151))
    assert drawn(tmp_path).returncode == 1


def drawn(folder: Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, str(DRILL / "drawn.py"), str(folder))
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def stubbed(folder: Path, failing: str) -> subprocess.CompletedProcess[str]:
    """run.sh over steps that only tell their names, OUT in a folder of its own; one fails."""
    for path in SCRIPTS:
        status = int(path.name == failing)
        (folder / path.name).write_text(f"#!/bin/sh\necho ran {path.name} $*\nexit {status}\n")
        (folder / path.name).chmod(0o755)
    for name in ("run.sh", "versions.env"):
        shutil.copy(DRILL / name, folder)
    variables = os.environ | {"OUT": str(folder / "out")}
    command = (str(folder / "run.sh"),)
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("failing", "status", "last"),
    [
        ("none", 0, ["recover.sh good", "end.sh"]),
        ("await.sh", 1, ["release.sh stable", "await.sh promoted 600"]),
        ("recover.sh", 1, ["recover.sh good", "end.sh"]),
        ("end.sh", 1, ["recover.sh good", "end.sh"]),
    ],
)
def test_a_step_that_fails_ends_the_drill_and_callers_end_with_it(
    tmp_path: Path, failing: str, status: int, last: list[str]
) -> None:
    done = stubbed(tmp_path, failing)
    ran = [line.removeprefix("ran ") for line in done.stdout.splitlines() if line[:3] == "ran"]
    assert done.returncode == status
    assert [each.strip() for each in ran[-2:]] == last


def test_a_drill_begins_with_nothing_and_moves_the_one_before_aside(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("good.yaml", "releases.csv", "answers.jsonl"):
        (tmp_path / "out" / name).touch()
    done = stubbed(tmp_path, "none")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").iterdir()) == []
    (kept,) = tmp_path.glob("out.*")
    assert {path.name for path in kept.iterdir()} == {"good.yaml", "releases.csv", "answers.jsonl"}


@pytest.mark.parametrize(("known", "wanted"), [("", "issue create"), ("7", "issue comment 7")])
def test_a_drill_that_fails_each_week_has_one_issue(
    tmp_path: Path, known: str, wanted: str
) -> None:
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/told\n[ "$2" != list ] || echo "{known}"\n')
    gh.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    variables = os.environ | {"PATH": path, "RUN": "the run"}
    subprocess.run((str(DRILL / "tell.sh"),), env=variables, check=True)
    assert told(tmp_path).splitlines()[1].startswith(wanted)
    assert "the run" in told(tmp_path)
