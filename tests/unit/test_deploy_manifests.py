"""Manifests are read whole or refused, by file, line and key."""

from pathlib import Path

import pytest

from preflight.deploy.manifests import parse, read
from preflight.errors import Problem

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"


def test_objects_come_in_order_by_kind_and_name() -> None:
    found = parse(SERVICE + "---\n---\n" + SERVICE.replace("a}", "b}"), "file")
    assert [each["metadata"]["name"] for each in found.all("Service")] == ["a", "b"]
    assert found.one("Service", "b")["metadata"]["name"] == "b"
    assert found.named("Service", "c") is None


def test_the_items_of_a_list_are_objects() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n"
    assert parse(text, "file").one("A")["metadata"] == {"name": "a"}


def test_a_date_is_text_as_it_is_to_kubernetes() -> None:
    found = parse(SERVICE + "data: {when: 2026-01-01}\n", "file")
    assert found.one("Service")["data"] == {"when": "2026-01-01"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SERVICE + "kind: Pod\n", "file, line 4: found the key 'kind' twice"),
        (SERVICE + "spec: {a: 1, a: 1}\n", "file, line 4: found the key 'a' twice"),
        (SERVICE + "spec: [\n", "file, line 5: found "),
        (SERVICE + "---\nkind: Pod\n", "file, document 2: found no object"),
        (SERVICE + "---\n- 1\n", "file, document 2: found no object"),
        (SERVICE + "---\n" + SERVICE, "file: found Service/a twice"),
        (SERVICE + "data: {a: \x01}\n", "file: found "),
    ],
)
def test_what_is_no_manifest_is_refused_where_it_stands(text: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(text, "file")
    assert str(caught.value).startswith(words)


def test_one_object_is_neither_none_nor_two() -> None:
    found = parse(SERVICE + "---\n" + SERVICE.replace("a}", "b}"), "file")
    with pytest.raises(Problem, match=r"file: found 2 of Service; expected exactly one"):
        found.one("Service")
    with pytest.raises(Problem, match=r"file: found 0 of Service/c"):
        found.one("Service", "c")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"none\.yaml: found no readable file"):
        read(tmp_path / "none.yaml")
