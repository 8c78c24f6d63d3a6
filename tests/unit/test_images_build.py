"""An image is built by the first builder that works, and is what it was asked to be."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from conftest import ROOT, git
from images import TAG, bento_at, labels_of
from preflight import workspace
from preflight.errors import Problem
from preflight.files import write_json
from preflight.images import builders, commands, layout, store
from preflight.images.build import CONTAINERFILE, LAYOUT, Built, build
from preflight.images.labels import Labels

CONTEXT = ROOT / CONTAINERFILE
# A builder that works, or says why not. It makes the layout of a Bento with the labels it is told,
# in the folder it is told; Podman and Buildah make it at the push.
BUILDER = f"""#!{sys.executable}
import json, pathlib, sys
sys.path[:0] = {[str(ROOT / "src"), str(ROOT / "tests")]!r}
home, words = pathlib.Path(__file__).parent, sys.argv[1:]
with (home / "told").open("a") as file:
    print(json.dumps([pathlib.Path(sys.argv[0]).name, *words]), file=file)
refused = home / (pathlib.Path(sys.argv[0]).name + ".refuses")
if refused.exists():
    sys.exit(refused.read_text())
def make(folder, context, labels):
    if context.name == "context":
        return
    from preflight.images import written
    other = home / "other"
    written.write(folder, pathlib.Path(other.read_text()) if other.exists() else context, labels)
if words[0] == "push":
    context, labels = json.loads((home / "last").read_text())
    make(pathlib.Path(words[2][4:]), pathlib.Path(context), labels)
else:
    pairs = [words[place + 1] for place, word in enumerate(words) if word == "--label"]
    labels = dict(pair.split("=", 1) for pair in pairs) if not (home / "mute").exists() else {{}}
    if "--iidfile" in words:
        pathlib.Path(words[words.index("--iidfile") + 1]).write_text("sha256:abc\\n")
        (home / "last").write_text(json.dumps([words[-1], labels]))
    else:
        output = words[words.index("--output") + 1]
        make(pathlib.Path(output.partition("dest=")[2]), pathlib.Path(words[-1]), labels)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, in which commands work."""
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch=main")
    (place / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    workspace.commit(place, "First")
    monkeypatch.setattr(workspace, "root", lambda: place)
    return place


@pytest.fixture
def bento(tmp_path: Path) -> Path:
    return bento_at(tmp_path / "bentos")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with all builders, of which none is installed beside it."""
    place = tmp_path / "tools"
    place.mkdir()
    for name in builders.BUILDERS:
        (place / name).write_text(BUILDER)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(place), prepend=":")
    return place


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> None:
    """No builder works."""
    monkeypatch.setattr(builders, "working", lambda: (None, "docker: not installed"))


def made(root: Path, bento: Path) -> tuple[Labels, Path]:
    """Labels and a Bento of the repository's own commit."""
    commit = git(root, "rev-parse", "HEAD").strip()
    place = bento / "src/build.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"commit": commit}))
    return labels_of(bento, commit=commit), bento


def built(root: Path, bento: Path) -> Built:
    labels, bento = made(root, bento)
    return build(root, bento, labels)


def told(tools: Path) -> list[list[str]]:
    """What builders were told of the service's image, and not of an empty one."""
    lines = [json.loads(line) for line in (tools / "told").read_text().splitlines()]
    first = next(place for place, words in enumerate(lines) if "--label" in words)
    return lines[first:]


def refuse(tools: Path, **said: str) -> None:
    for name, why in said.items():
        (tools / f"{name}.refuses").write_text(why)


def test_without_a_builder_the_bento_alone_is_put_down_and_that_is_said(
    root: Path, bento: Path, none: None
) -> None:
    found = build(root, bento, labels_of(bento))
    assert (found.builder, found.layout) == (None, root / LAYOUT)
    assert found.said == (
        f"the Bento taxi:{TAG} alone, and no image that runs: no Python in it"
        " (docker: not installed)"
    )
    assert found.digest == layout.digest(root / LAYOUT)
    assert not layout.runs(root / LAYOUT)
    assert build(root, bento, labels_of(bento)).digest == found.digest


def test_docker_comes_first_and_writes_the_layout_itself(
    root: Path, bento: Path, tools: Path
) -> None:
    found = built(root, bento)
    assert found.builder == "docker"
    [words] = told(tools)
    assert words[:3] == ["docker", "buildx", "build"]
    assert words[words.index("--file") + 1] == str(root / CONTAINERFILE)
    assert "type=oci,tar=false,rewrite-timestamp=true,dest=" in words[-2]
    assert words[-1] == str(bento)
    time = git(root, "show", "-s", "--format=%ct", "HEAD").strip()
    assert f"SOURCE_DATE_EPOCH={time}" in words


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_a_client_without_its_engine_is_passed_over(
    root: Path, bento: Path, tools: Path, name: str
) -> None:
    refuse(tools, docker="Cannot connect to the Docker daemon")
    if name == "buildah":
        refuse(tools, podman="no subuid ranges")
    assert built(root, bento).builder == name
    make, push = told(tools)
    assert make[:2] == [name, "build"]
    assert {"--layers", "--timestamp", "--iidfile"} <= set(make)
    assert push[:3] == [name, "push", "sha256:abc"]
    assert push[3].startswith("oci:")


def test_each_builder_that_does_not_work_says_why(tools: Path) -> None:
    refuse(tools, docker="Cannot connect to the Docker daemon", podman="no subuid ranges")
    (tools / "buildah").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builders, "ASKED_SECONDS", 0.2)
        found, said = builders.working()
    assert found is None
    assert said == (
        "docker: Cannot connect to the Docker daemon; podman: no subuid ranges;"
        " buildah: no end within 0.2 s"
    )


def test_a_builder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert builders.working() == (
        None,
        "docker: not installed; podman: not installed; buildah: not installed",
    )


def test_an_image_without_its_labels_is_refused_and_the_last_one_stays(
    root: Path, bento: Path, tools: Path
) -> None:
    before = built(root, bento).digest
    (tools / "mute").touch()
    with pytest.raises(Problem, match=r"label org\.opencontainers\.image\.title: found no such"):
        built(root, bento)
    assert layout.digest(root / LAYOUT) == before


def test_an_image_of_another_model_under_the_right_labels_is_refused(
    root: Path, bento: Path, tools: Path, tmp_path: Path
) -> None:
    (tools / "other").write_text(str(bento_at(tmp_path / "other", "another tree")))
    with pytest.raises(Problem, match="a model of hash"):
        built(root, bento)
    assert not (root / LAYOUT).exists()


@pytest.mark.parametrize(
    ("field", "value"), [("version", "4"), ("commit", "a" * 40), ("bento", "taxi:v4-other")]
)
def test_labels_of_another_bento_are_refused(
    root: Path, bento: Path, none: None, field: str, value: str
) -> None:
    with pytest.raises(Problem, match=rf"build\.json: found .*; expected {value}"):
        build(root, bento, labels_of(bento, **{field: value}))


def package(root: Path, bento: Path, **draft: str) -> Built:
    """What `preflight package` leaves."""
    found = build(root, bento, labels_of(bento))
    known = {"image": found.digest, "bento": f"taxi:{TAG}"}
    write_json(root / "reports/release.json", known | draft)
    return found


def publish() -> Result:
    return CliRunner().invoke(commands.publish, catch_exceptions=True)


def test_publish_pushes_what_was_packaged_under_its_bentos_tag(
    root: Path, bento: Path, none: None
) -> None:
    found = package(root, bento)
    done = publish()
    assert done.exit_code == 0
    assert f"taxi:{TAG} -> {root / '.preflight/images'}, {found.digest}" in done.output
    assert "runs nowhere" in done.output
    assert store.of(root).digest(TAG) == found.digest
    assert publish().exit_code == 0


def test_publish_refuses_another_image_than_was_packaged(
    root: Path, bento: Path, none: None
) -> None:
    found = package(root, bento, image="sha256:" + "0" * 64)
    done = publish()
    assert isinstance(done.exception, Problem)
    assert found.digest in str(done.exception)
    assert store.of(root).digest(TAG) is None


def stages() -> list[list[str]]:
    """Instructions of the Containerfile, each as one line, by stage."""
    text = re.sub(r"\\\n\s*", " ", CONTEXT.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    starts = [place for place, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]


def test_the_base_is_pinned_and_is_the_bentos_python() -> None:
    first = stages()[0][0]
    python = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["docker"]["python_version"]
    assert re.match(rf"FROM python:{python}-slim-\w+@sha256:[0-9a-f]{{64}} AS base$", first)
    assert [stage[0] for stage in stages()[1:]] == ["FROM base AS parts", "FROM base"]


def test_packages_are_those_of_the_services_lock_by_hash() -> None:
    [install] = [line for line in stages()[1] if "pip" in line]
    assert "--require-hashes --only-binary=:all:" in install
    assert install.endswith("-r /serve.txt")
    assert "COPY src/requirements/serve.txt /serve.txt" in stages()[1]


def test_the_model_is_the_last_layer_and_code_is_none_of_it() -> None:
    copied = [line for line in stages()[-1] if line.startswith(("COPY", "ADD", "RUN"))]
    assert copied[-1].endswith("/model /home/bentoml/bento/src")
    assert "mv /bento/src/models /model/models" in stages()[1][-1]
    assert copied[-2].endswith("/bento /home/bentoml/bento")


def pods() -> list[Any]:
    """The service's and the judge's pods, as deploy/base has them."""
    files = [ROOT / "deploy/base" / name for name in ("rollout.yaml", "judge.yaml")]
    found = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    return [
        each["spec"]["template"]["spec"] for each in found if "template" in each.get("spec", {})
    ]


def test_user_and_folder_are_those_that_the_pods_expect() -> None:
    service, judge = pods()
    assert "USER 1034:1034" in stages()[-1]
    assert service["securityContext"]["runAsUser"] == judge["securityContext"]["runAsUser"] == 1034
    place = judge["containers"][0]["workingDir"]
    assert "WORKDIR " + place.removesuffix("/src") in stages()[-1]
    assert all("command" not in each["containers"][0] for each in (service, judge))
    assert (
        json.loads(next(line for line in stages()[-1] if line.startswith("CMD"))[4:])
        == (service["containers"][0]["args"])
    )
