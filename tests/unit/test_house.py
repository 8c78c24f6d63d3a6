"""The repository keeps its own rules."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from conftest import ROOT, git
from preflight import docs
from preflight.cli import main
from preflight.model_card import page as card

FILES = [Path(name) for name in git(ROOT, "ls-files").splitlines()]
LOCKS = ("requirements/serve.txt", "requirements/dev.txt")
PAGES = [path for path in FILES if path.suffix == ".md"]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_exact_pins_with_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    for pin in pins:
        assert re.match(r"^[a-z0-9._\[\]-]+==[^ ]+ .*\\$", pin), pin
        assert f"{pin}\n    --hash=sha256:" in text
    assert "://" not in text
    assert "--index" not in text


def versions(lock: str) -> dict[str, str]:
    """Versions by package."""
    found = re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / lock).read_text(), re.MULTILINE)
    return dict(found)


def test_training_and_serving_share_every_version() -> None:
    serve, dev = versions("requirements/serve.txt"), versions("requirements/dev.txt")
    assert {name: dev.get(name) for name in serve} == serve


def test_the_service_carries_no_training_engine() -> None:
    heavy = {"mlflow", "mlflow-skinny", "dvc", "pandas", "polars", "pyarrow", "scikit-learn"}
    assert heavy & set(versions("requirements/serve.txt")) == set()


def test_git_holds_no_data_no_model_no_database_and_no_notebook() -> None:
    binary = {".parquet", ".db", ".sqlite", ".pkl", ".bin", ".ipynb", ".onnx", ".gz", ".zip"}
    assert [path for path in FILES if path.suffix in binary] == []
    assert [path for path in FILES if path.name == "booster.txt"] == []


def test_git_holds_nothing_over_300_kb_but_locks() -> None:
    large = [path for path in FILES if (ROOT / path).stat().st_size > 300_000]
    assert {str(path) for path in large} <= set(LOCKS)


def test_python_is_the_same_everywhere() -> None:
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["docker"]["python_version"]
    minors = re.search(r'requires-python = ">=(3\.\d+)', (ROOT / "pyproject.toml").read_text())
    assert minors is not None
    assert minors[1] == bento
    workflows = [yaml.safe_load(path.read_text()) for path in ROOT.glob(".github/workflows/*.yml")]
    setup = yaml.safe_load((ROOT / ".github/actions/setup/action.yml").read_text())
    assert workflows
    assert [
        step["with"]["python-version"]
        for step in setup["runs"]["steps"]
        if "python-version" in step.get("with", {})
    ] == [bento]


CLOSURE = """
import json, pathlib, sys
import preflight.rollout.service
import taxi.service
from preflight import predictor
from taxi import contract, features, model, params
root = str(pathlib.Path("src").resolve())
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
print(json.dumps([str(pathlib.Path(f).relative_to(root)) for f in files if f.startswith(root)]))
"""


def test_the_bento_holds_exactly_the_code_that_the_service_loads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSURE],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": "", "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {f"src/{name}" for name in json.loads(done.stdout.splitlines()[-1])}
    stated = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["include"]
    held: set[str] = set()
    for pattern in stated:
        path = ROOT / pattern.lstrip("/")
        listed = path.rglob("*.py") if path.is_dir() else [path]
        held |= {str(file.relative_to(ROOT)) for file in listed if file.suffix == ".py"}
    assert held == loaded


def test_the_generated_docs_are_of_this_code(tmp_path: Path) -> None:
    for name, (page, make) in docs.PARTS.items():
        text = (ROOT / "docs" / page).read_text()
        assert docs.replaced(text, name, make(ROOT), page) == text, "run `preflight docs`"
    path, schema = docs.schema(ROOT)
    assert path.read_text() == schema, "run `preflight docs`"
    card.check(ROOT)  # prose, which alone would run no other test


def test_a_key_of_one_word_is_documented_as_that_word() -> None:
    _, make = docs.PARTS["params"]
    assert "| `arm` | shadow or null | `null` |" in make(ROOT).splitlines()


def anchors(text: str) -> set[str]:
    """GitHub's anchors of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_link_in_the_docs_leads_somewhere(path: Path) -> None:
    text = (ROOT / path).read_text()
    for link, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)", text):
        target = (ROOT / path).parent / link if link else ROOT / path
        assert target.exists(), f"{path}: {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{path}: {link}#{anchor}"


def commands(text: str) -> Iterator[list[str]]:
    """The words after `preflight` of each command that a page shows, in a block or in a line."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    for code in (*blocks, *inline):
        plain = re.sub(r"\\\n", " ", re.sub(r'"(?:\\.|[^"\\])*"', "TEXT", code))
        shown = re.findall(r"(?:^|[ (])(?:\.venv/bin/)?preflight ([^|>;&)#\n]+)", plain, re.M)
        yield from (said.split() for said in shown)


def unknown(words: list[str]) -> str | None:
    """The first word that is no command of ours, or no option of the command before it."""
    command: click.Command = main
    for word in words:
        if isinstance(command, click.Group):
            found = command.commands.get(word)
            if found is None:
                return word
            command = found
        elif word.startswith("--") and word != "--":
            known = {each for option in command.params for each in (*option.opts, "--help")}
            if word.partition("=")[0] not in known:
                return word
    return None


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_command_in_the_docs_is_one_with_the_options_it_has(path: Path) -> None:
    for words in commands((ROOT / path).read_text()):
        assert unknown(words) is None, f"{path}: preflight {' '.join(words)}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`preflight verify production`", None),
        ("`.venv/bin/preflight keys remove ID`", "remove"),
        ("```sh\nKEY=$(.venv/bin/preflight keyes add me)\n```", "keyes"),
        ("```sh\ngit pull && .venv/bin/preflight rollback staging --reason x\n```", "--reason"),
    ],
)
def test_a_command_that_is_none_is_named(text: str, found: str | None) -> None:
    (words,) = commands(text)
    assert unknown(words) == found


def test_the_list_before_a_release_has_seven_items_at_most() -> None:
    text = (ROOT / "docs/release.md").read_text()
    section = text.split("## The list before a release\n")[1].split("\n## ")[0]
    assert 1 <= len(re.findall(r"^- ", section, re.MULTILINE)) <= 7


def test_the_readme_is_short_and_its_first_command_early() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 105
    assert next(n for n, line in enumerate(lines, 1) if "make demo" in line) <= 25


def test_the_model_card_leaves_nothing_blank() -> None:
    card = (ROOT / "docs/model-card.md").read_text()
    rows = re.findall(r"^\| (.+?) \|(.*)\|$", card, re.MULTILINE)
    assert len(rows) >= 15
    assert [question for question, answer in rows if not answer.strip()] == []


def test_every_source_of_data_has_origin_owner_and_terms() -> None:
    text = (ROOT / "data/SOURCES.md").read_text()
    for word in ("Origin", "Owner", "Terms", "synthetic", "TLC", "zone lookup"):
        assert word in text


def test_src_reaches_the_project_only_through_the_seam() -> None:
    for path in (ROOT / "src/preflight").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) taxi", path.read_text(), re.MULTILINE), path


def test_the_top_level_fits_a_glance() -> None:
    top = {path.parts[0] for path in FILES}
    assert len({name for name in top if not name.startswith(".")}) <= 16
    assert len({name for name in top if name.startswith(".")}) <= 6
