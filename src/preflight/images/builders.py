"""The programs that build images: docker with buildx, podman, buildah; which of them works here."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from preflight.errors import Problem
from preflight.workspace import environment, failed

BUILDERS = ("docker", "podman", "buildah")
ASKED_SECONDS = 60
EMPTY = "FROM scratch\nLABEL asked=yes\n"


@dataclass(frozen=True)
class Job:
    """A Containerfile, its context, the labels, and the time in seconds that files shall have."""

    containerfile: Path
    context: Path
    labels: Mapping[str, str]
    time: int

    @property
    def words(self) -> list[str]:
        """What all builders are told alike."""
        bearing = [word for each in self.labels.items() for word in ("--label", "=".join(each))]
        # Python then marks what it compiles by hash, and not by the time of a file.
        time = ["--build-arg", f"SOURCE_DATE_EPOCH={self.time}"]
        return ["--file", str(self.containerfile), *time, *bearing]


def commands(builder: str, job: Job, folder: Path, scratch: Path) -> list[list[str]]:
    """What a builder is told to make a layout in `folder`; ID is what is in the file id by then."""
    build = [builder, *(["buildx"] if builder == "docker" else []), "build", *job.words]
    if builder == "docker":
        output = f"type=oci,tar=false,rewrite-timestamp=true,dest={folder}"
        # Attestations would make an index of the image; the release's workflow signs its own.
        bare = ["--provenance=false", "--sbom=false"]
        return [[*build, *bare, "--output", output, str(job.context)]]
    ignored = job.containerfile.with_name(f"{job.containerfile.name}.dockerignore")
    kept = ["--ignorefile", str(ignored)] if ignored.is_file() else []  # Docker finds it itself
    # Without --layers Buildah makes one layer of a whole stage.
    like = ["--format", "oci", "--layers", "--timestamp", str(job.time)]
    named = ["--iidfile", str(scratch / "id"), str(job.context)]
    return [[*build, *kept, *like, *named], [builder, "push", "ID", f"oci:{folder}"]]


def build(builder: str, job: Job, folder: Path, seconds: float | None = None) -> None:
    """Build an image as an OCI layout in `folder`; raises Problem where the builder fails."""
    with TemporaryDirectory(prefix="preflight-") as name:
        scratch = Path(name)
        for command in commands(builder, job, folder, scratch):
            told = [_id(scratch) if word == "ID" else word for word in command]
            _run(told, scratch, seconds)


def working() -> tuple[str | None, str]:
    """The first builder that makes an image here, and what was said of those before it.

    Each is asked by an image of nothing: a client may be there without its engine.
    """
    said = []
    for builder in BUILDERS:
        if why := _refusal(builder):
            said.append(f"{builder}: {why}")
        else:
            return builder, "; ".join(said)
    return None, "; ".join(said)


def _refusal(builder: str) -> str | None:
    """Why a builder makes no image here; None where it does."""
    if shutil.which(builder) is None:
        return "not installed"
    with TemporaryDirectory(prefix="preflight-") as name:
        place = Path(name)
        (place / "context").mkdir()
        (place / "Containerfile").write_text(EMPTY, encoding="utf-8")
        job = Job(place / "Containerfile", place / "context", {}, 0)
        try:
            build(builder, job, place / "image", ASKED_SECONDS)
        except Problem as problem:
            return problem.found.removeprefix("a failure: ")[-200:]
    return None


def _run(command: list[str], folder: Path, seconds: float | None) -> None:
    try:
        done = subprocess.run(
            command,
            env=environment(folder),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        said = f"no end within {seconds:g} s"
        raise Problem(" ".join(command[:4]), said, "an end", "Look at its engine.") from None
    if done.returncode:
        raise failed(command, done.stderr or done.stdout)


def _id(scratch: Path) -> str:
    return (scratch / "id").read_text(encoding="utf-8").strip()
