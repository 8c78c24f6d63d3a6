"""dvc.yaml says what the stages really use."""

import hashlib
import json
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from preflight import params

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, Any] = {
    name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()
}
LOADED = """
import atexit, json, pathlib, runpy, sys
name, *sys.argv[1:] = sys.argv[1:]
root = pathlib.Path("src").resolve()
@atexit.register
def say():
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    files += [sys.modules["__main__"].__dict__.get("__file__")]
    print(json.dumps(sorted({f for f in files if f and f.startswith(str(root))})))
runpy.run_module(name, run_name="__main__", alter_sys=True)
"""


def code_of(stage: str, root: Path) -> set[str]:
    """The source files that a stage loads when it runs, but for those that hold no code."""
    _, _, module, name, *words = STAGES[stage]["cmd"].split()
    command = [sys.executable, "-c", LOADED, module, name, *("2021-01" for _ in words)]
    environment = {"PYTHONPATH": str(root / "src"), "PATH": ""}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = (Path(name) for name in json.loads(done.stdout.splitlines()[-1]))
    own = {path.relative_to(root.resolve()) for path in loaded}
    own.add(Path("src", *module.split("."), "__main__.py"))
    return {str(path) for path in own if len((ROOT / path).read_text().splitlines()) > 1}


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_stage_depends_on_exactly_the_code_it_loads(stage: str, checkout: Path) -> None:
    stated = {dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")}
    assert stated == code_of(stage, checkout)


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_stage_is_one_module_of_its_name(stage: str) -> None:
    words = STAGES[stage]["cmd"].split()
    assert words[:4] == ["python", "-m", "preflight.stages", stage]


def outputs() -> list[str]:
    """Every output of every stage."""
    listed = chain.from_iterable(
        stage.get(kind, []) for stage in STAGES.values() for kind in ("outs", "metrics", "plots")
    )
    return [out if isinstance(out, str) else next(iter(out)) for out in listed]


def test_every_file_in_data_and_models_is_an_output_of_one_stage(built: Path) -> None:
    found = outputs()
    assert len(set(found)) == len(found)
    stated = {Path(out.replace("${item}", "2021-01")) for out in found}
    for folder in ("data", "models"):
        for path in (built / folder).rglob("*"):
            name = Path(str(path.relative_to(built)).replace("2021-02", "2021-01"))
            name = Path(str(name).replace("2021-03", "2021-01"))
            kept = name.name == ".gitignore" or name.suffix == ".md" or path.is_dir()
            assert kept or stated & {name, *name.parents}, f"{name} belongs to no stage"


def test_the_committed_lock_is_of_this_code_and_these_parameters() -> None:
    """A stale dvc.lock would let metrics of other code stand in Git."""
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, stage in lock.items():
        for dep in stage["deps"]:
            if dep["path"].startswith("src/"):
                found = hashlib.md5((ROOT / dep["path"]).read_bytes()).hexdigest()  # noqa: S324
                assert found == dep["md5"], f"{name}: {dep['path']} changed; run `make repro`"
        for key, value in stage["params"]["params.yaml"].items():
            current = raw
            for part in key.split("."):
                current = current[part]
            assert current == value, f"{name}: {key} changed; run `make repro`"


NOT_OF_THE_PIPELINE = {"registry", "serving", "log", "outcomes", "risk", "rollout", "gates"}


def test_every_parameter_belongs_to_a_stage_or_to_a_command() -> None:
    stated = {key for stage in STAGES.values() for key in stage["params"]} | NOT_OF_THE_PIPELINE

    def covered(key: str) -> bool:
        parts = key.split(".")
        return any(".".join(parts[:count]) in stated for count in range(1, len(parts) + 1))

    loaded = params.load(ROOT / "params.yaml").model_dump(by_alias=True)
    leaves = [
        f"{name}.{key}" if isinstance(section, dict) else name
        for name, section in loaded.items()
        for key in (section if isinstance(section, dict) else [""])
    ]
    assert [key for key in leaves if not covered(key)] == []
