"""What no machine but GitHub's can do, as stand-ins: each keeps what it was called with.

Keyless signing and attesting, a bill of materials, a scan for weaknesses, the sign-in at a registry
and a GitHub App's token are named here. `release_rehearsal` replaces more: the jobs in GIVEN, whose
evidence is planted; the targets `tools`, lent, `audit` and `resume`, which do nothing, and `verify`
where releases are planted. Nothing else of a release is pretended.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fake_github import TOKEN
from workflow.actions import Action, Inputs, Place

COSIGN = """#!{python} -IS
import pathlib, sys
with pathlib.Path({called!r}).open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
"""


@dataclass
class StandIns:
    """The stand-ins of one run: calls by action in their order, and what `cosign` was told."""

    folder: Path
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def actions(self) -> Mapping[str, Action]:
        """Them, by the names of the actions whose places they take."""
        named: dict[str, Action] = {
            "docker/login-action": _nothing,
            "aquasecurity/trivy-action": _scan,
            "anchore/sbom-action": _materials,
            "actions/attest": _attest,
            "sigstore/cosign-installer": self._cosign,
            "actions/create-github-app-token": _token,
        }
        return {name: self._kept(name, action) for name, action in named.items()}

    def given(self, name: str) -> list[dict[str, str]]:
        """The inputs of each call of an action."""
        return [inputs for called, inputs in self.calls if called == name]

    def signed(self) -> list[str]:
        """The words of each call of `cosign`."""
        path = self.folder / "signed"
        return path.read_text().splitlines() if path.exists() else []

    def _kept(self, name: str, action: Action) -> Action:
        def called(place: Place, inputs: Inputs) -> bool:
            self.calls.append((name, dict(inputs)))
            return action(place, inputs)

        return called

    def _cosign(self, place: Place, inputs: Inputs) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.folder / "cosign"
        called = str(self.folder / "signed")
        program.write_text(COSIGN.format(python=sys.executable, called=called))
        program.chmod(0o755)
        place.variables["PATH"] = f"{self.folder}:{place.variables['PATH']}"
        return True


def _nothing(place: Place, inputs: Inputs) -> bool:
    return True


def _scan(place: Place, inputs: Inputs) -> bool:
    """Something to scan is there, and what is found would stop the release."""
    return (place.workspace / inputs["input"] / "index.json").is_file() and bool(
        inputs.get("exit-code") == "1"
    )


def _materials(place: Place, inputs: Inputs) -> bool:
    kind, _, layout = inputs["image"].partition(":")
    (place.workspace / inputs["output-file"]).write_text("{}\n")
    return kind == "oci-dir" and (place.workspace / layout / "index.json").is_file()


def _attest(place: Place, inputs: Inputs) -> bool:
    """By digest, and of files that are there."""
    files = [inputs[name] for name in ("sbom-path", "predicate-path") if name in inputs]
    return inputs["subject-digest"].startswith("sha256:") and all(
        (place.workspace / name).is_file() for name in files
    )


def _token(place: Place, inputs: Inputs) -> bool:
    """A token for the key of an environment; none without it."""
    place.outputs["token"] = TOKEN
    return bool(inputs["private-key"] and inputs["client-id"])
