"""The policy gate: what a change does to the guards is named, and passes only with a waiver."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from changes import Texts, committed
from conftest import ROOT, commit, git
from preflight.errors import Problem
from preflight.evidence import Evidence, Findings
from preflight.gates import policy
from preflight.policy import commits

TODAY = date(2026, 1, 15)
PARAMS = """
generator: {seed: 7}
gates:
  quality: {max_rmse: 6.0}
  policy: {max_waiver_days: 30}
"""
TEST = "def test_a() -> None:\n    assert sum([1, 2]) == 3\n"
WORKFLOW = "jobs:\n  test:\n    steps:\n      - run: make test\n"
BASE: Texts = {
    "params.yaml": PARAMS,
    "tests/unit/test_x.py": TEST,
    "src/taxi/data.py": "import numpy as np\n\nrng = np.random.default_rng(7)\n",
    "src/preflight/gates/quality.py": "LIMIT = 1\n",
    ".github/workflows/test.yml": WORKFLOW,
}
COLUMN = {
    "name": "trip_distance",
    "kind": "number",
    "role": "attribute",
    "minimum": 0.01,
    "maximum": 100,
    "allowed": None,
    "nullable": False,
    "known": True,
    "sensitive": False,
}
CONTRACT: dict[str, Any] = {
    "columns": [COLUMN],
    "identity": ["trip_distance"],
    "slices": [],
    "target_bins": [1.0],
}
WIDER = CONTRACT | {"columns": [COLUMN | {"maximum": 1000}]}
LOOSER = {"params.yaml": PARAMS.replace("6.0", "9.0")}
WAIVER = {
    "check": "limits",
    "subject": "gates.quality.max_rmse",
    "reason": "Trips in snow are harder to predict.",
    "owner": "@your-org/model-owners",
    "expires": date(2026, 2, 1),
}


def judged(root: Path, after: Texts, contracts: Any = (CONTRACT, CONTRACT)) -> Findings:
    """The gate's findings on the base with some files changed."""
    base, head = committed(root, BASE, BASE | after)
    return policy.judge(root, base, head, contracts, TODAY)


def line(found: Findings, check: str) -> Evidence:
    """One check's evidence."""
    (only,) = [each for each in found.evidence if each.check == check]
    return only


def waived(**fields: object) -> Texts:
    """A looser limit, with a waiver in which some fields are changed."""
    text = yaml.safe_dump({"waivers": [WAIVER | fields]})
    return LOOSER | {".github/waivers.yaml": text}


def test_a_change_that_touches_no_guard_passes_every_check(tmp_path: Path) -> None:
    found = judged(tmp_path, {"README.md": "More.\n"})
    assert {each.check: each.status for each in found.evidence} == dict.fromkeys(
        (*policy.CLAIMS, "waivers"), "pass"
    )
    assert (found.notices, found.tables) == ((), ())
    assert {each.reproduce for each in found.evidence} == {"make gates ONLY=policy"}


@pytest.mark.parametrize(
    ("check", "after", "said"),
    [
        ("limits", LOOSER, "limit looser: gates.quality.max_rmse 6.0 -> 9.0"),
        (
            "gates",
            {"src/preflight/gates/__init__.py": "REQUIRED = ('policy',)\n"},
            "gate removed: REQUIRED: quality",
        ),
        (
            "tests",
            {"tests/unit/test_x.py": "def test_a() -> None:\n    pass\n"},
            "test emptied: tests/unit/test_x.py::test_a 1 check -> none",
        ),
        (
            "seeds",
            {"src/taxi/data.py": "import numpy as np\n\nrng = np.random.default_rng()\n"},
            "draw without a seed: src/taxi/data.py: numpy.random.default_rng(); line 3",
        ),
        (
            "workflows",
            {".github/workflows/test.yml": WORKFLOW + "        continue-on-error: true\n"},
            "goes on after an error: .github/workflows/test.yml: jobs.test; "
            "continue-on-error: true",
        ),
    ],
)
def test_each_check_names_what_was_done(
    tmp_path: Path, check: str, after: Texts, said: str
) -> None:
    before = BASE | {"src/preflight/gates/__init__.py": "REQUIRED = ('policy', 'quality')\n"}
    base, head = committed(tmp_path, before, before | after)
    found = policy.judge(tmp_path, base, head, None, TODAY)
    assert (line(found, check).status, line(found, check).found) == ("fail", said)
    assert {each.check for each in found.evidence if each.status == "fail"} == {check}


def test_a_wider_contract_is_named(tmp_path: Path) -> None:
    found = line(judged(tmp_path, {"README.md": ""}, (CONTRACT, WIDER)), "contract")
    assert found.status == "fail"
    assert found.found == "contract widened: trip_distance.maximum 100 -> 1000"


def test_a_first_contract_widens_nothing(tmp_path: Path) -> None:
    assert line(judged(tmp_path, {"README.md": ""}, None), "contract").status == "pass"


def test_what_lies_in_the_working_tree_does_not_count(tmp_path: Path) -> None:
    base, head = committed(tmp_path, BASE, BASE | LOOSER)
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / ".github/waivers.yaml").write_text(waived()[".github/waivers.yaml"])
    assert line(policy.judge(tmp_path, base, head, None, TODAY), "limits").status == "fail"


def test_a_waiver_lets_its_finding_pass_on_the_first_screen(tmp_path: Path) -> None:
    found = judged(tmp_path, waived())
    assert line(found, "limits").status == line(found, "waivers").status == "pass"
    assert line(found, "limits").found.endswith("gates.quality.max_rmse 6.0 -> 9.0 (waived)")
    assert [(each.kind, each.text) for each in found.notices] == [
        (
            "waiver",
            "waived: limits: gates.quality.max_rmse; Trips in snow are harder to predict.; "
            "@your-org/model-owners; until 2026-02-01",
        ),
        ("machinery", "1 file: .github/waivers.yaml"),
    ]
    assert found.tables[0].rows == (
        ("limits", "gates.quality.max_rmse", "6.0", "9.0", "until 2026-02-01"),
    )


def test_a_waiver_covers_no_second_finding(tmp_path: Path) -> None:
    emptied = {"tests/unit/test_x.py": "def test_a() -> None:\n    pass\n"}
    found = judged(tmp_path, waived() | emptied)
    assert line(found, "limits").status == "pass"
    assert line(found, "tests").status == "fail"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"expires": TODAY - timedelta(days=1)}, "expired on 2026-01-14"),
        ({"expires": TODAY + timedelta(days=31)}, "more than 30 days ahead"),
        ({"reason": "Because."}, "reason: String should have at least 20 characters"),
        ({"colour": "red"}, "colour: an unknown field"),
    ],
)
def test_a_waiver_that_is_not_whole_or_not_in_force_waives_nothing(
    tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    found = judged(tmp_path, waived(**fields))
    assert line(found, "limits").status == line(found, "waivers").status == "fail"
    assert "entry 1 (gates.quality.max_rmse): " in line(found, "waivers").found
    assert said in line(found, "waivers").found


def test_an_expired_waiver_that_nothing_needs_fails_too(tmp_path: Path) -> None:
    after = waived(expires=TODAY - timedelta(days=1)) | {"params.yaml": PARAMS}
    assert line(judged(tmp_path, after), "waivers").status == "fail"


def test_an_unused_waiver_is_shown_and_passes(tmp_path: Path) -> None:
    found = judged(tmp_path, waived() | {"params.yaml": PARAMS})
    assert line(found, "waivers").status == "pass"
    assert found.notices[0].text.startswith("unused waiver: limits: gates.quality.max_rmse; ")


def test_the_check_of_waivers_cannot_be_waived(tmp_path: Path) -> None:
    found = line(judged(tmp_path, waived(check="waivers")), "waivers")
    assert found.status == "fail"
    assert "check: Input should be" in found.found


def test_how_long_a_waiver_may_hold_is_the_bases_limit(tmp_path: Path) -> None:
    after = waived(expires=TODAY + timedelta(days=60))
    after["params.yaml"] = PARAMS.replace("max_waiver_days: 30", "max_waiver_days: 90")
    found = judged(tmp_path, after)
    assert "more than 30 days ahead" in line(found, "waivers").found
    assert "gates.policy.max_waiver_days 30 -> 90" in line(found, "limits").found


@pytest.mark.parametrize(
    ("base", "head", "days"), [({}, {"params.yaml": PARAMS}, 30), ({}, {}, 90)]
)
def test_without_a_limit_of_the_base_the_heads_holds_then_90_days(
    base: Texts, head: Texts, days: int
) -> None:
    assert policy.waiver_days(commits.Change(base, head, (), frozenset())) == days


def test_many_touched_files_of_the_machinery_are_counted(tmp_path: Path) -> None:
    files = {f"src/preflight/part_{each:02}.py": "" for each in range(15)}
    (notice,) = judged(tmp_path, files | {"README.md": ""}).notices
    assert notice.kind == "machinery"
    assert notice.text.startswith("15 files: src/preflight/part_00.py, ")
    assert notice.text.endswith("src/preflight/part_11.py and 3 more")


def test_a_long_list_is_bounded(tmp_path: Path) -> None:
    keys = {f"max_{each:03}": 1.0 for each in range(200)}
    before, after = (
        {"params.yaml": yaml.safe_dump({"gates": {"quality": each}})}
        for each in (keys, dict.fromkeys(keys, 2.0))
    )
    base, head = committed(tmp_path, before, after)
    found = policy.judge(tmp_path, base, head, None, TODAY)
    assert line(found, "limits").found.endswith("; and 188 more")
    assert len(found.tables[0].rows) == 80
    assert found.tables[0].rows[-1][1] == "and 121 more"


def test_many_waivers_still_fit_the_first_screens_type(tmp_path: Path) -> None:
    held = [WAIVER | {"subject": f"gates.x.max_{each}"} for each in range(70)]
    found = judged(tmp_path, {".github/waivers.yaml": yaml.safe_dump({"waivers": held})})
    assert [each.text for each in found.notices][50] == "and 20 waivers more"


def test_a_name_of_any_bytes_and_a_source_of_any_bytes_are_read(tmp_path: Path) -> None:
    committed(tmp_path, BASE, BASE)
    base = git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "tests/unit/a\tb\nc.txt").write_text("x")
    (tmp_path / "src/taxi/old.py").write_bytes(b"NAME = '\xff'  # \xe9\n")
    (tmp_path / "src/taxi/marked.py").write_bytes(b"\xef\xbb\xbfNAME = 1\n")
    commit(tmp_path)
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    found = policy.judge(tmp_path, base, head, None, TODAY)
    assert {each.status for each in found.evidence} == {"pass"}


def test_one_commit_on_both_sides_is_refused(tmp_path: Path) -> None:
    _, head = committed(tmp_path, BASE, LOOSER)
    with pytest.raises(Problem, match="on both sides"):
        policy.judge(tmp_path, head, head, None, TODAY)


@pytest.mark.parametrize(
    ("name", "said"), [("HEAD", "its full hash"), ("0" * 40, "git ls-tree .* found a failure")]
)
def test_what_is_no_commit_is_refused(tmp_path: Path, name: str, said: str) -> None:
    base, _ = committed(tmp_path, BASE, LOOSER)
    with pytest.raises(Problem, match=said):
        policy.judge(tmp_path, base, name, None, TODAY)


def test_the_shipped_file_of_waivers_is_empty() -> None:
    text = (ROOT / ".github/waivers.yaml").read_text()
    assert yaml.safe_load(text) == {"waivers": []}
