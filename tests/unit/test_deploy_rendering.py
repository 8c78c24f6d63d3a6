"""Rendered manifests bear their record's values at exact places, and no tool is needed for that."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conftest import ROOT, commit, git
from preflight import workspace
from preflight.cli import Commands
from preflight.deploy import rendering
from preflight.deploy.commands import render
from preflight.deploy.rendering import NONE, released
from preflight.errors import NoData, Problem
from preflight.release import RENDERED
from released import TEXT, release, release_of, started

ROLLOUT = TEXT[TEXT.index("apiVersion: argoproj.io") :]
FAKE = '#!/bin/sh\ncat "$2/../../base/all.yaml"\n'
TOOL = ROOT / ".preflight/go/kustomize"


def changed(before: str, after: str) -> list[tuple[str, str]]:
    """Lines that differ, of texts with as many lines."""
    both = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(old.strip(), new.strip()) for old, new in both if old != new]


def test_digest_version_and_release_stand_at_their_places_and_nothing_else_moves() -> None:
    digest = "registry.example/taxi@sha256:"
    label = ('app.kubernetes.io/version: "0"', 'app.kubernetes.io/version: "7"')
    annotation = ("preflight/release: none", 'preflight/release: "7-777777777777"')
    assert changed(TEXT, released(TEXT, release_of("7"))) == [
        annotation,
        label,
        annotation,
        label,
        (f"- image: {digest}{'0' * 64}", f"- image: {digest}{'7' * 64}"),
    ]


def test_a_release_twice_is_the_release_once() -> None:
    once = released(TEXT, release_of("7"))
    assert released(once, release_of("7")) == once


def test_a_release_over_another_is_as_rendered_anew() -> None:
    over = released(released(TEXT, release_of("7")), release_of("8"))
    assert over == released(TEXT, release_of("8"))


def test_without_a_record_the_placeholders_stand_as_kustomize_writes_them() -> None:
    assert released(TEXT, None) == TEXT
    assert released(released(TEXT, release_of("7")), None) == TEXT


def test_a_shadows_image_is_the_manifests_own() -> None:
    digest = "registry.example/taxi-shadow@sha256:" + "5" * 64
    text = TEXT.replace(f"registry.example/judge@{NONE}", digest)
    assert digest in released(text, release_of("7"))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("    preflight/release: none\n", "no metadata.annotations.preflight/release"),
        ('    app.kubernetes.io/version: "0"\n', "no metadata.labels.app.kubernetes.io/version"),
        ("        preflight/release: none\n", "no spec.template.metadata.annotations.preflight"),
        ('        app.kubernetes.io/version: "0"\n', "no spec.template.metadata.labels.app.kub"),
        ("        name: service\n", "no image of the container service"),
    ],
)
def test_a_place_that_is_missing_is_named(line: str, named: str) -> None:
    with pytest.raises(Problem, match=named):
        released(TEXT.replace(f"\n{line}", "\n", 1), release_of("7"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (TEXT.replace("about: café", "preflight/release: none"), "'preflight/release:' 3 times"),
        (TEXT.replace("about: café", 'app.kubernetes.io/version: "0"'), "version:' 3 times"),
        (TEXT.replace("example/judge@", "example/taxi@"), "'registry.example/taxi@' 2 times"),
        (TEXT + "---\n" + ROLLOUT, "2 Rollouts"),
        (TEXT.replace("kind: Rollout", "kind: Service"), "0 Rollouts"),
        ("", "0 Rollouts"),
        (TEXT.replace(f"taxi@sha256:{'0' * 64}", "taxi:latest"), "image registry.example/taxi:lat"),
        (TEXT + "  : [", "did not find"),
    ],
)
def test_a_text_with_another_place_than_the_known_ones_is_refused(text: str, named: str) -> None:
    with pytest.raises(Problem, match=named):
        released(text, release_of("7"))


def test_a_version_that_is_no_label_is_refused() -> None:
    model = {"name": "taxi-duration", "version": 'x"\n  evil: "y', "hash": "1" * 64}
    with pytest.raises(Problem, match=r"model\.version"):
        released(TEXT, release_of("7", model=model))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose kustomize prints deploy/base/all.yaml."""
    root = started(tmp_path / "scratch")
    write(root, TEXT)
    overlay = root / "deploy/overlays/production/kustomization.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("resources: [../../base]\n")
    tool = root / ".preflight/go/kustomize"
    tool.parent.mkdir(parents=True)
    tool.write_text(FAKE)
    tool.chmod(0o755)
    (root / ".git/info/exclude").write_text(".preflight\n")
    commit(root, "Base")
    monkeypatch.setattr(workspace, "root", lambda: root)
    return root


def write(root: Path, text: str) -> None:
    """What the scratch repository's kustomize gives from now on."""
    (root / "deploy/base").mkdir(parents=True, exist_ok=True)
    (root / "deploy/base/all.yaml").write_text(text)


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD").strip()


def run(*arguments: str) -> Result:
    group = Commands()
    group.add_command(render)
    return CliRunner().invoke(group, ["render", *arguments])


def test_before_the_first_release_the_working_tree_is_rendered(scratch: Path) -> None:
    write(scratch, TEXT.replace("café", "tea"))
    assert rendering.rendered(scratch, "production") == TEXT.replace("café", "tea")


def test_a_changed_base_reaches_an_environment_only_by_the_commit_that_its_record_names(
    scratch: Path,
) -> None:
    release(scratch, release_of("7", manifests=head(scratch)))
    write(scratch, TEXT.replace("café", "tea"))
    commit(scratch, "Change the base")
    assert rendering.rendered(scratch, "production") == released(TEXT, release_of("7"))
    release(scratch, release_of("8", manifests=head(scratch)))
    assert "about: tea" in rendering.rendered(scratch, "production")


def test_what_is_written_passes_the_check(scratch: Path) -> None:
    release(scratch, release_of("7", manifests=head(scratch)), TEXT.replace("café", "tea"))
    done = run("--check")
    assert done.exit_code == 1
    assert "-    about: tea\n+    about: café\n" in done.stdout
    assert run("production").stdout == "deploy/rendered/production.yaml\n"
    assert run("--check").output == "production: as rendered anew\n"
    assert run().output == "deploy/rendered/production.yaml: unchanged\n"


def test_that_a_change_of_the_base_waits_for_a_record_is_told(scratch: Path) -> None:
    release(scratch, release_of("7", manifests=head(scratch)))
    write(scratch, TEXT.replace("café", "tea"))
    commit(scratch, "Change the base")
    pinned = git(scratch, "rev-parse", "HEAD~2")[:7]
    told = (
        f"production: from the manifests of {pinned}, release 7-777777777777; a change of deploy/ "
        "reaches it when a record's `manifests` moves"
    )
    assert run().output == f"deploy/rendered/production.yaml: unchanged\n{told}\n"
    assert run("--check").output == f"production: as rendered anew\n{told}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [("\n", "\r\n"), ('"7"\n', "7\n"), ("7" * 64, "8" * 64), ("service\n", "service")],
)
def test_a_hand_edit_fails_the_check(scratch: Path, old: str, new: str) -> None:
    release(scratch, release_of("7", manifests=head(scratch)))
    path = scratch / RENDERED.format(environment="production")
    path.write_bytes(path.read_text().replace(old, new).encode())
    assert run("--check", "production").exit_code == 1


def test_a_large_difference_is_cut_to_a_screen(scratch: Path) -> None:
    long = "".join(f"    line{number}: {'x' * 200}\n" for number in range(300))
    release(scratch, release_of("7", manifests=head(scratch)))
    path = scratch / RENDERED.format(environment="production")
    path.write_text(path.read_text().replace("    about: café\n", long))
    lines = rendering.difference(scratch, "production").splitlines()
    assert len(lines) == 41
    assert max(map(len, lines)) <= 100
    assert lines[-1].endswith("lines more")


def test_a_record_in_another_environments_place_is_refused(scratch: Path) -> None:
    release(scratch, release_of("7", manifests=head(scratch)))
    place = scratch / "deploy/overlays/production/release.yaml"
    place.write_text(place.read_text().replace("environment: production", "environment: staging"))
    with pytest.raises(Problem, match="environment: found staging; expected production"):
        rendering.rendered(scratch, "production")


def test_an_environment_without_overlay_is_refused_by_name(scratch: Path) -> None:
    done = run("../production")
    assert done.exit_code == 1
    assert "'../production', which has no overlay; expected one of production" in done.stderr


def test_a_commit_that_is_not_here_is_told(scratch: Path) -> None:
    release(scratch, release_of("7", manifests="e" * 40))
    with pytest.raises(Problem, match="manifests eeeeeeeeeeee: found no deploy/ of that commit"):
        rendering.rendered(scratch, "production")


def test_without_kustomize_nothing_is_seen_and_the_remedy_is_named(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scratch / ".preflight/go/kustomize").unlink()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NoData, match=r"kustomize: found no such program.*`make tools`"):
        rendering.rendered(scratch, "production")
    assert run("--check").exit_code == 2


FAILURE = """\
#!/bin/sh
at="$PWD/deploy/base"
cause="evalsymlink failure on '$at/x.yaml' : lstat $at/x.yaml: no such file or directory"
echo "Error: accumulating resources: accumulation err='accumulating resources from 'x.yaml': \
$cause': must build at directory: not a valid directory: $cause" >&2
exit 1
"""


def test_of_kustomizes_sentences_the_innermost_is_told(scratch: Path) -> None:
    (scratch / ".preflight/go/kustomize").write_text(FAILURE)
    with pytest.raises(Problem) as caught:
        rendering.rendered(scratch, "production")
    assert caught.value.where == "kustomize build deploy/overlays/production"
    assert caught.value.found == "lstat deploy/base/x.yaml: no such file or directory"


@pytest.mark.skipif(not TOOL.is_file(), reason="kustomize is not installed: make tools")
@pytest.mark.parametrize("environment", rendering.renderable(ROOT))
def test_with_the_real_kustomize_a_release_over_another_is_as_rendered_anew(
    environment: str, tmp_path: Path
) -> None:
    root = started(tmp_path / "scratch")
    shutil.copytree(ROOT / "deploy", root / "deploy", ignore=shutil.ignore_patterns("release.yaml"))
    (root / ".preflight/go").mkdir(parents=True)
    (root / ".preflight/go/kustomize").symlink_to(TOOL)
    text = rendering.rendered(root, environment)
    commit(root, "Manifests")
    one, two = (
        release_of(version, environment=environment, manifests=head(root)) for version in "12"
    )
    release(root, one, text)
    first = rendering.rendered(root, environment)
    release(root, two, text)
    assert rendering.rendered(root, environment) == released(first, two) == released(text, two)
    assert rendering.difference(root, environment) == ""
