"""An artifact of an untrusted run is plain evidence, or it is refused by name."""

import json
import struct
import zipfile

import pytest

from fake_github import green, linked, understated, zipped
from preflight.errors import Problem
from preflight.evidence import MAX_BYTES
from preflight.pull_request.artifact import entries, part

COMMIT, OTHER = "a" * 40, "b" * 40
BODY = green(COMMIT, "quality").model_dump_json().encode()


def refusal(raw: bytes) -> str:
    """What is said about an archive."""
    with pytest.raises(Problem) as caught:
        list(entries(raw, "evidence-gates"))
    assert "artifact 'evidence-gates'" in caught.value.where
    return str(caught.value)


def flagged(raw: bytes, place: int, value: int) -> bytes:
    """An archive with two bytes of its directory's first entry replaced."""
    start = raw.index(b"PK\x01\x02") + place
    return raw[:start] + struct.pack("<H", value) + raw[start + 2 :]


def test_plain_evidence_is_read() -> None:
    assert list(entries(zipped({"quality.json": BODY}), "evidence-gates")) == [("quality", BODY)]
    assert part(BODY, "quality", COMMIT, "evidence-gates") == green(COMMIT, "quality")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated_entries_are_read(method: int) -> None:
    raw = zipped({"quality.json": BODY}, method)
    assert list(entries(raw, "evidence-gates")) == [("quality", BODY)]


@pytest.mark.parametrize(
    "name",
    [
        "../quality.json",
        "/etc/quality.json",
        "reports/quality.json",
        "..\\quality.json",
        "C:\\quality.json",
        "quality.json/",
        "..",
    ],
)
def test_a_path_is_refused(name: str) -> None:
    said = refusal(zipped({name: BODY}))
    assert f"entry {name!r}: found a path" in said


def test_a_link_is_refused() -> None:
    assert "entry 'quality.json': found a link" in refusal(linked("quality.json", "/etc/passwd"))


@pytest.mark.parametrize("name", ["pr.json", "NUMBER", "Quality.json", "quality.txt"])
def test_what_is_not_of_a_gate_is_refused(name: str) -> None:
    assert "found an unknown name" in refusal(zipped({"quality.json": BODY, name: b"42"}))


def test_a_name_that_ends_before_its_end_is_refused() -> None:
    raw = zipped({"quality.json_.sh": BODY}).replace(b"json_", b"json\x00")
    assert "found an unknown name" in refusal(raw)


def test_a_name_with_lines_of_its_own_is_shown_on_one() -> None:
    said = refusal(zipped({"x\n::add-mask::y\n\x1b[31m" + "z" * 200: BODY}))
    assert said.isascii()
    assert "\n" not in said
    assert "z" * 81 not in said


def test_more_entries_than_gates_are_refused() -> None:
    assert "found 40 entries" in refusal(zipped({f"{at}.json": b"" for at in range(40)}))


def test_an_encrypted_entry_is_refused() -> None:
    assert "found an encrypted entry" in refusal(flagged(zipped({"quality.json": BODY}), 8, 1))


def test_an_unknown_compression_is_refused() -> None:
    raw = zipped({"quality.json": BODY}, zipfile.ZIP_LZMA)
    assert "found compression 14" in refusal(raw)


def test_a_bomb_that_says_its_size_is_refused() -> None:
    size = 50 * MAX_BYTES
    raw = zipped({"quality.json": b" " * size})
    assert f"entry 'quality.json': found {size} bytes; expected at most {MAX_BYTES}" in refusal(raw)


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    raw = understated("quality.json", b" " * 50 * MAX_BYTES, said=100)
    assert f"found more than {MAX_BYTES} bytes, declared as 100" in refusal(raw)


def test_an_entry_that_holds_more_than_it_declares_is_refused() -> None:
    raw = understated("quality.json", BODY + b" " * 500, said=len(BODY))
    assert "entry 'quality.json': found damaged: BadZipFile" in refusal(raw)


def test_an_entry_of_another_size_than_it_declares_is_refused() -> None:
    size = len(BODY).to_bytes(4, "little")
    raw = zipped({"quality.json": BODY}).replace(size, (len(BODY) - 1).to_bytes(4, "little"))
    assert f"found {len(BODY)} bytes, declared as {len(BODY) - 1}" in refusal(raw)


@pytest.mark.parametrize("cut", [0, 10, 60, -30])
def test_a_damaged_archive_is_refused(cut: int) -> None:
    assert "found damaged" in refusal(zipped({"quality.json": BODY})[:cut])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (BODY[:-1] + b',"\\n::set-output":1}', "\\n::set-output: Extra inputs"),
        (BODY.replace(b'"It holds."', b'"' + b"x" * 601 + b'"'), "at most 600 characters"),
        (BODY.replace(b'"pass"', b'"green"'), "Input should be"),
        (green(COMMIT, "slices").model_dump_json().encode(), "evidence of slices"),
        (green(OTHER, "quality").model_dump_json().encode(), "the commit bbbbbbbbbbbb"),
    ],
)
def test_what_is_no_evidence_of_this_gate_and_commit_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(Problem) as caught:
        part(body, "quality", COMMIT, "evidence-gates")
    assert caught.value.where == "artifact 'evidence-gates', entry 'quality.json'"
    assert said in caught.value.found
    assert "\n" not in str(caught.value)


def test_a_field_of_its_own_invention_is_refused() -> None:
    plain = json.loads(BODY) | {"pull_request": 1}
    with pytest.raises(Problem, match="pull_request"):
        part(json.dumps(plain).encode(), "quality", COMMIT, "evidence-gates")
