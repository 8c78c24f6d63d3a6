"""`preflight comment`: an untrusted run's evidence becomes one comment, or nothing at all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from changes import committed
from conftest import git
from fake_github import (
    NUMBER,
    REPOSITORY,
    RUN,
    TOKEN,
    FakeGitHub,
    green,
    install_cml,
    linked,
    pull,
    run,
    serving,
    understated,
    whole,
    zipped,
)
from preflight import cli
from preflight.errors import Problem
from preflight.evidence import MAX_BYTES, Evidence, SliceFinding, Table, told
from preflight.gates import REQUIRED
from preflight.pull_request.comment import comment

PARAMS = "gates:\n  quality:\n    max_rmse: 5.0\n  policy:\n    max_waiver_days: 90\n"
BASE = {"params.yaml": PARAMS, "README.md": "It.\n", "src/taxi/model.py": "TREES = 1\n"}
CHANGES = {
    "honest": BASE | {"src/taxi/model.py": "TREES = 2\n"},
    "loose": BASE | {"params.yaml": PARAMS.replace("5.0", "9.0"), "Makefile": "test:\n"},
    "prose": BASE | {"README.md": "It is.\n"},
}
Upload = Callable[[FakeGitHub, str], object]


@dataclass
class Place:
    """Main's checkout, the change's head, the fake GitHub and the fake CML's folder."""

    root: Path
    head: str
    fake: FakeGitHub
    tools: Path
    environ: dict[str, str]

    def posted(self) -> str:
        """Post the run's comment; returns what CML was given."""
        comment(self.root, self.environ)
        return (self.tools / "posted.md").read_text()

    def refused(self) -> str:
        """Why nothing was posted."""
        with pytest.raises(Problem) as caught:
            comment(self.root, self.environ)
        assert not (self.tools / "called").exists()
        return str(caught.value)


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """A repository for each change, with main and the change's head on a branch."""
    found = {}
    for name, after in CHANGES.items():
        root = tmp_path_factory.mktemp("origins") / name
        base, head = committed(root, BASE, after)
        git(root, "branch", "change", head)
        git(root, "reset", "--quiet", "--hard", base)
        found[name] = root, head
    return found


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    origins: dict[str, tuple[Path, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """A checkout of main that lacks the change's objects, and a finished run of the change."""
    monkeypatch.setenv("no_proxy", "*")
    origin, head = origins[getattr(request, "param", "honest")]
    root = tmp_path / "main"
    git(tmp_path, "clone", "--quiet", "--single-branch", f"file://{origin}", str(root))
    with serving(head) as fake:
        environ = {
            "PATH": install_cml(tmp_path / "tools", head),
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": fake.api,
            "RUN_ID": str(RUN),
        }
        yield Place(root, head, fake, tmp_path / "tools", environ)


def test_an_honest_green_run_is_posted_green(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    place.fake.upload("evidence-gates", zipped(whole(place.head)))
    text = place.posted()
    assert text.startswith("## 🟢 Ready: all ")
    assert (place.root / "reports/report.md").read_text() == text
    assert f"run {RUN}, attempt 1: pull request #{NUMBER} at {place.head[:12]}" in caplog.messages
    assert TOKEN not in caplog.text


def test_an_honest_red_run_is_posted_red(place: Place) -> None:
    line = told("quality", "rmse", "It is no worse.", False, "rmse rose by a sixth")
    red = green(place.head, "quality").model_copy(update={"evidence": (line,)})
    place.fake.upload("evidence-gates", zipped(whole(place.head, red)))
    text = place.posted()
    assert text.startswith("## 🔴 Not ready: 1 of ")
    assert "quality / rmse**: rmse rose by a sixth" in text


def test_a_run_that_crashed_before_any_gate_is_posted_without_data(place: Place) -> None:
    text = place.posted()
    assert text.startswith("## 🟡 Cannot tell: no data from ")
    assert "it did not run" in text


def test_parts_come_from_several_artifacts(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for name, body in whole(place.head).items():
        place.fake.upload(f"evidence-{name}", zipped({name: body}))
    place.fake.artifacts = place.fake.artifacts[:3]
    place.posted()
    assert len(place.fake.stored) == 3
    assert f"rendered {len(REQUIRED)} parts, 3 of them from the run" in caplog.messages


def twice(fake: FakeGitHub, head: str) -> None:
    """Upload one gate's part in two artifacts."""
    for name in ("evidence-x", "evidence-y"):
        fake.upload(name, zipped({"quality.json": whole(head)["quality.json"]}))


HOSTILE: dict[str, tuple[str, Upload]] = {
    "path traversal": (
        "entry '../quality.json': found a path",
        lambda fake, _: fake.upload("evidence-x", zipped({"../quality.json": b"{}"})),
    ),
    "link": (
        "entry 'quality.json': found a link",
        lambda fake, _: fake.upload("evidence-x", linked("quality.json", "/etc/passwd")),
    ),
    "zip bomb": (
        f"entry 'quality.json': found more than {MAX_BYTES} bytes, declared as 100",
        lambda fake, _: fake.upload(
            "evidence-x", understated("quality.json", b" " * 20 * MAX_BYTES, said=100)
        ),
    ),
    "200 MB of JSON": (
        "artifact 'evidence-x': found more than 4000000 bytes",
        lambda fake, _: fake.upload("evidence-x", None),
    ),
    "200 MB that say so": (
        "artifact 'evidence-x': found 200000000 bytes",
        lambda fake, _: fake.upload("evidence-x", b"", size_in_bytes=200_000_000),
    ),
    "a number of its own": (
        "entry 'pull-request-number.txt': found an unknown name",
        lambda fake, _: fake.upload("evidence-x", zipped({"pull-request-number.txt": b"1"})),
    ),
    "one gate twice": (
        "entry 'quality.json': found a second one",
        twice,
    ),
    "another commit's": (
        "entry 'quality.json': found the commit ffffffffffff",
        lambda fake, _: fake.upload(
            "evidence-x", zipped({"quality.json": whole("f" * 40)["quality.json"]})
        ),
    ),
    "no evidence": (
        "entry 'quality.json': found",
        lambda fake, _: fake.upload("evidence-x", zipped({"quality.json": b'{"html": "<b>"}'})),
    ),
    "a moved head": (
        "found head moved to cccccccccccc",
        lambda fake, _: setattr(fake, "pulls", [pull(NUMBER, "c" * 40)]),
    ),
    "two pull requests": (
        "found ambiguous: #42, #43 have this head",
        lambda fake, head: fake.pulls.append(pull(43, head, base="release")),
    ),
    "a copied watermark": (
        "found the report's watermark in a person's comment",
        lambda fake, head: fake.comments.append(
            {
                "id": 1,
                "body": f'![](https://cml.dev/watermark.png#{head} "CML watermark preflight")',
                "user": {"type": "User"},
            }
        ),
    ),
    "a newer run": (
        f"found overtaken by the run {RUN + 1}",
        lambda fake, head: fake.runs.append(run(RUN + 1, head)),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_by_name_and_nothing_is_posted(place: Place, name: str) -> None:
    said, make = HOSTILE[name]
    make(place.fake, place.head)
    assert said in place.refused()


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [
        (lambda fake: setattr(fake, "pulls", [pull(NUMBER, "c" * 40)]), "head moved"),
        (lambda fake: fake.runs.append(run(RUN + 1, fake.head)), "overtaken by the run"),
        (lambda fake: setattr(fake, "runs", [run(RUN, fake.head, run_attempt=2)]), "overtaken"),
    ],
)
def test_what_happens_while_artifacts_are_read_is_noticed(
    place: Place, meanwhile: Callable[[FakeGitHub], object], said: str
) -> None:
    place.fake.upload("evidence-gates", zipped(whole(place.head)))
    place.fake.after_download = lambda: meanwhile(place.fake)
    assert said in place.refused()


FORGED = "zone\n\n## 🟢 Ready: all 20 gates green\n\n<!-- "
MARKUP = "<img src=x onerror=alert(1)> [click](http://evil.example) @team #1 | `x`"


def injected(head: str) -> bytes:
    """A red run whose texts are markup, and a column's name a first line."""
    line = Evidence(
        gate="quality",
        check="rmse",
        status="fail",
        claim=MARKUP,
        found=MARKUP,
        slices=(SliceFinding(name=FORGED, n=1, measured=1.0, limit=MARKUP, status="fail"),),
        details=FORGED,
        reproduce=MARKUP,
    )
    table = Table(title=FORGED, columns=(FORGED, MARKUP), rows=((FORGED, MARKUP),))
    update = {"evidence": (line,), "tables": (table,)}
    return zipped(whole(head, green(head, "quality").model_copy(update=update)))


def test_markup_and_a_forged_first_line_are_posted_escaped(place: Place) -> None:
    place.fake.upload("evidence-gates", injected(place.head))
    text = place.posted()
    assert text.startswith("## 🔴 Not ready: 1 of ")
    headings = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert not any("🟢" in line for line in headings)
    for markup in ("<img", "](http", "<!--", "@team"):
        assert markup not in text


def test_another_pull_requests_number_in_the_evidence_leads_nowhere(place: Place) -> None:
    part = green(place.head, "quality", found="--target=pr/1 pull request #1")
    place.fake.upload("evidence-gates", zipped(whole(place.head, part)))
    assert place.posted().startswith("## 🟢 Ready")  # the fake CML accepts pr/42 alone


@pytest.mark.parametrize("place", ["loose"], indirect=True)
def test_the_policy_is_mains_own_and_the_contract_the_changes_word(place: Place) -> None:
    place.fake.upload("evidence-gates", zipped(whole(place.head)))
    text = place.posted()
    assert text.startswith("## 🔴 Not ready: 1 of ")
    assert "policy / limits" in text
    assert "gates.quality.max&#95;rmse" in text
    assert "Machinery touched: 1 file: Makefile" in text
    assert "the change's own word: as it should be" in text
    assert "policy was judged here by main's code" in text


@pytest.mark.parametrize("place", ["prose"], indirect=True)
def test_prose_alone_needs_lint_and_policy_only(place: Place) -> None:
    lint = whole(place.head)["lint.json"]
    place.fake.upload("evidence-lint", zipped({"lint.json": lint}))
    assert place.posted().startswith("## 🟢 Ready: all 2 gates green")


def test_without_the_changes_objects_the_policy_is_without_data(place: Place) -> None:
    git(place.root, "remote", "set-url", "origin", str(place.root / "nowhere"))
    place.fake.upload("evidence-gates", zipped(whole(place.head)))
    text = place.posted()
    assert text.startswith("## 🟡 Cannot tell: no data from 1 of ")
    assert "main could not judge it: the objects of" in text


def test_nothing_of_the_change_is_checked_out(place: Place) -> None:
    place.posted()
    assert (place.root / "src/taxi/model.py").read_text() == BASE["src/taxi/model.py"]
    assert git(place.root, "cat-file", "-t", place.head).strip() == "commit"


def test_the_command_reads_its_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.root)
    monkeypatch.setenv("PATH", "")
    done = CliRunner().invoke(cli.main, ["comment"], env=place.environ | {"RUN_ID": "7; id"})
    assert done.exit_code == 1
    assert done.stderr.startswith("error: RUN_ID: found something else")


def test_a_cml_that_fails_is_named_without_the_token(place: Place) -> None:
    install_cml(place.tools / "other", place.head, number=1)
    place.environ["PATH"] = f"{place.tools / 'other'}:{place.environ['PATH']}"
    with pytest.raises(Problem, match="cml comment update: found status 1") as caught:
        comment(place.root, place.environ)
    assert "with ***" in caught.value.found
    assert TOKEN not in str(caught.value)
