"""Images in a registry, reached by the program skopeo with the sign-in that it has."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from preflight.errors import Problem
from preflight.files import replacing
from preflight.images import layout
from preflight.images.store import DIGESTS, TAGS, Store, require_name
from preflight.workspace import environment, failed

ADDRESS = r"docker://[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
# As registries say that there is no such tag; any other failure is none, and must not pass for one.
ABSENT = re.compile(
    r"(manifest|name)[ _]unknown|repository name not known|artifact \S+ not found", re.IGNORECASE
)
EXACT = ("--all", "--preserve-digests")


class Registry(Store):
    """A repository of a registry, as docker://HOST/NAME."""

    def __init__(self, place: str) -> None:
        """Raises Problem for an address with a tag or a digest, or none at all."""
        require_name(ADDRESS, place, "params.yaml: registry.images")
        self.place = place

    def digest(self, tag: str) -> str | None:
        """SHA-256 of the manifest that the registry gives for the tag, counted here."""
        require_name(TAGS, tag, self.place)
        done = _skopeo(Path.cwd(), "inspect", "--raw", f"{self.place}:{tag}", may_lack=True)
        return None if done is None else "sha256:" + hashlib.sha256(done).hexdigest()

    def fetch(self, digest: str, folder: Path) -> Path:
        """Bring an image here, and check each of its blobs."""
        require_name(DIGESTS, digest, self.place)
        with replacing(folder) as partial:
            source = f"{self.place}@{digest}"
            _skopeo(partial.parent, "copy", *EXACT, source, f"oci:{partial.name}")
            layout.check(partial)
            if (found := layout.digest(partial)) != digest:
                raise Problem(self.place, found, digest, "The registry gave another: look there.")
        return folder

    def _put(self, folder: Path, tag: str) -> None:
        if not layout.runs(folder):
            said = "a Bento alone, built without docker, podman or buildah"
            remedy = "Build it where one works, as the release's workflow does."
            raise Problem(str(folder), said, "an image that runs", remedy)
        # Skopeo takes what follows a colon for a tag, so it gets a name without a path.
        named = f"oci:{folder.name}"
        _skopeo(folder.parent, "copy", *EXACT, named, f"{self.place}:{tag}")


def _skopeo(folder: Path, *words: str, may_lack: bool = False) -> bytes | None:
    """What skopeo printed; None for a tag that is not there, where it `may_lack`."""
    if shutil.which("skopeo") is None:
        raise Problem(
            "skopeo", "no such program", "it, to reach a registry", "Install it, and sign in."
        )
    command = ("skopeo", *words)
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, check=False
    )
    said = done.stderr.decode(errors="replace")
    if done.returncode and not (may_lack and ABSENT.search(said)):
        raise failed(command, said)
    return None if done.returncode else done.stdout
