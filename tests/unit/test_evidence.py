"""Evidence is whole, bounded and of one commit, or it is no data."""

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from preflight import evidence
from preflight.errors import NoData, Problem
from preflight.evidence import Chart, Evidence, Part, SliceFinding, Status, Table, told, worst

COMMIT, OTHER = "a" * 40, "b" * 40


def line(status: Status = "pass", **fields: Any) -> Evidence:
    """One check of the gate quality."""
    plain = {"gate": "quality", "check": "rmse", "claim": "It holds.", "found": "5.1"}
    return Evidence(**{**plain, "status": status, "reproduce": "make gates"} | fields)


def part(gate: str = "quality", commit: str = COMMIT, *lines: Evidence, **fields: Any) -> Part:
    """One gate's part."""
    return Part(gate=gate, commit=commit, seconds=1.5, evidence=lines or (line(),), **fields)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["pass", "no-data", "fail"], "fail"),
        (["pass", "no-data"], "no-data"),
        (["pass", "pass"], "pass"),
        ([], "no-data"),
    ],
)
def test_fail_comes_before_no_data_before_pass(statuses: list[Status], expected: Status) -> None:
    assert worst(statuses) == expected


def test_a_part_is_as_good_as_its_worst_line() -> None:
    assert part("quality", COMMIT, line("pass"), line("no-data")).status == "no-data"
    assert part("quality", COMMIT, line("pass"), line("pass")).status == "pass"


@pytest.mark.parametrize(
    ("holds", "expected"), [(None, "no-data"), (True, "pass"), (False, "fail")]
)
def test_what_is_told_is_true_false_or_unknown(holds: bool | None, expected: Status) -> None:
    found = told("quality", "rmse", "It holds.", holds, "x" * 900)
    assert found.status == expected
    assert found.reproduce == "make gates ONLY=quality"
    assert len(found.found) == 600


def test_a_part_is_read_as_it_was_written(tmp_path: Path) -> None:
    finding = SliceFinding(
        name="vendor=1", n=3, measured=1.0, limit="<= 1", interval=(0.5, 1.5), status="pass"
    )
    table = Table(title="T", columns=("a", "b"), rows=(("x", 1.5), (None, 2)))
    chart = Chart(title="C", unit="", kind="bars", labels=("a",), series={"s": (None,)})
    whole = part(
        "quality", COMMIT, line(measured=1.0, slices=(finding,)), tables=(table,), charts=(chart,)
    )
    assert evidence.read(evidence.write(tmp_path, whole)) == whole


def changed(path: Path, **fields: Any) -> None:
    """Lay fields over a part's file."""
    plain = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "did not run"),
        (lambda path: path.write_text("{"), "unreadable evidence: the document"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "unreadable evidence"),
        (lambda path: path.write_text("[" * 100_000), "unreadable evidence"),
        (lambda path: path.write_text(" " * 1_000_001), "1000001 bytes"),
        (lambda path: changed(path, commit=OTHER), f"of another commit, {OTHER[:12]}"),
        (lambda path: changed(path, gate="slices"), "evidence of slices"),
        (lambda path: changed(path, verdict="pass"), "verdict: Extra inputs"),
        (lambda path: changed(path, evidence=[]), "evidence: Tuple should have at least 1"),
        (lambda path: changed(path, seconds=-1), "seconds"),
        (lambda path: changed(path, version=2), "version"),
        (lambda path: path.symlink_to(path.rename(path.with_suffix(".x"))), "no regular file"),
        (lambda path: (path.unlink(), path.mkdir()), "no regular file"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "no regular file"),
    ],
)
def test_evidence_that_is_not_this_commits_is_no_data(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(evidence.write(tmp_path, part()))
    (found,) = evidence.collect(tmp_path, COMMIT, ["quality"])
    assert (found.gate, found.commit, found.status) == ("quality", COMMIT, "no-data")
    assert said in found.evidence[0].found


def test_sound_evidence_is_taken_as_it_is(tmp_path: Path) -> None:
    evidence.write(tmp_path, part())
    assert evidence.collect(tmp_path, COMMIT, ["quality"]) == (part(),)


def test_a_folder_that_does_not_exist_has_no_evidence(tmp_path: Path) -> None:
    found = evidence.collect(tmp_path / "none", COMMIT, ["quality", "slices"])
    assert [each.status for each in found] == ["no-data", "no-data"]


def test_parts_beyond_the_required_count_after_them_by_name(tmp_path: Path) -> None:
    for gate in ("zebra", "alpha", "quality"):
        evidence.write(tmp_path, part(gate))
    found = evidence.collect(tmp_path, COMMIT, ["slices", "quality"])
    assert [each.gate for each in found] == ["slices", "quality", "alpha", "zebra"]
    assert [each.status for each in found] == ["no-data", "pass", "pass", "pass"]


@pytest.mark.parametrize("name", ["UPPER", "a b", "a.b", ".hidden", "x" * 60, "1st", "-a", "é"])
def test_an_extra_file_of_any_name_is_no_data(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.json").write_text("{}")
    (found,) = evidence.collect(tmp_path, COMMIT, [])
    assert found.status == "no-data"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("claim", "x" * 601),
        ("found", "x" * 601),
        ("limit", "x" * 121),
        ("reproduce", "x" * 121),
        ("gate", "Quality"),
        ("check", "1st"),
        ("check", "x" * 42),
        ("measured", float("nan")),
        ("measured", float("inf")),
        ("measured", "5"),
        ("interval", (0.0, float("inf"))),
        ("n", -1),
        ("status", "passed"),
        ("slices", (SliceFinding(name="a", n=1, measured=1, limit="", status="pass"),) * 81),
        ("verdict", "pass"),
    ],
)
def test_what_is_too_long_or_no_number_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        line(**{field: value})


def test_the_longest_that_fits_is_taken() -> None:
    found = line(claim="x" * 600, limit="x" * 120, check="x" * 41)
    assert len(found.claim) == 600


def test_rows_and_series_must_be_as_long_as_their_heads() -> None:
    with pytest.raises(ValidationError, match="as long as the columns"):
        Table(title="T", columns=("a", "b"), rows=(("x",),))
    with pytest.raises(ValidationError, match="as long as the labels"):
        Chart(title="C", unit="", kind="bars", labels=("a", "b"), series={"s": (1.0,)})


def test_evidence_is_frozen() -> None:
    with pytest.raises(ValidationError):
        line("fail").status = "pass"


def test_a_digest_names_a_set_whatever_its_order() -> None:
    one, other = part("quality"), part("slices")
    found = evidence.digest([one, other])
    assert found == evidence.digest([other, one])
    assert len(found) == 64
    assert found != evidence.digest([one])


def test_a_packed_set_comes_back_and_has_the_digest_of_its_text() -> None:
    parts = (part("quality"), part("slices"))
    text = evidence.packed(reversed(parts))
    assert evidence.unpacked(text, "evidence.json") == parts
    assert hashlib.sha256(text.encode()).hexdigest() == evidence.digest(parts)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", "the document: Input should be"),
        ('{"quality": {}}', "quality.evidence: Field required"),
        (evidence.packed([part("quality")]).replace('{"quality"', '{"slices"'), "another gate's"),
    ],
)
def test_a_set_that_is_none_is_refused_by_name(text: str, found: str) -> None:
    with pytest.raises(Problem, match=found):
        evidence.unpacked(text, "evidence.json")


@pytest.mark.parametrize(
    "field",
    [
        {"status": "fail"},
        {"found": "5.2"},
        {"claim": "It might hold."},
        {"measured": 1.0},
        {"interval": (0.0, 1.0)},
        {"n": 7},
        {"limit": "<= 2"},
        {"details": "T"},
        {"reproduce": "make it"},
        {"slices": (SliceFinding(name="a", n=1, measured=1, limit="", status="pass"),)},
    ],
)
def test_a_digest_changes_with_any_field_of_a_line(field: dict[str, Any]) -> None:
    same, other = part(), part("quality", COMMIT, line(**field))
    assert evidence.digest([same]) == evidence.digest([part()])
    assert evidence.digest([other]) != evidence.digest([same])


@pytest.mark.parametrize("field", [{"commit": OTHER}, {"seconds": 2.0}, {"gate": "slices"}])
def test_a_digest_changes_with_any_field_of_a_part(field: dict[str, Any]) -> None:
    assert evidence.digest([part().model_copy(update=field)]) != evidence.digest([part()])


def test_the_schema_describes_a_part() -> None:
    assert set(Part.model_fields) == set(evidence.schema()["properties"])


@pytest.mark.parametrize("kind", [Problem, NoData])
def test_a_problem_crosses_processes_as_it_was(kind: type[Problem]) -> None:
    found = pickle.loads(pickle.dumps(kind("here", "this", "that", "Mend it.")))  # noqa: S301
    assert type(found) is kind
    assert str(found) == "here: found this; expected that. Mend it."
    assert (found.where, found.remedy) == ("here", "Mend it.")
