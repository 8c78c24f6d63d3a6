"""The judge of a rehearsal: the service that a cluster runs, over a watcher's file and one log.

python -m preflight.rehearsal.judging FILE LOG PORT, in a folder with a params.yaml.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import STDOUT, Popen, TimeoutExpired
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import uvicorn

from preflight import params
from preflight.bento import free_port
from preflight.errors import Problem
from preflight.rollout import limits, sources
from preflight.rollout.matured import matured
from preflight.rollout.questions import Question
from preflight.rollout.service import application, judged
from preflight.rollout.sources import Found
from preflight.rollout.verdict import Verdict
from preflight.serving import logs

START_SECONDS = 30.0
ANSWER_SECONDS = 10.0  # as Argo Rollouts waits
DIRECT = build_opener(ProxyHandler({}))
log = logging.getLogger("preflight")


class Judge:
    """A running judge: asked over HTTP as the AnalysisTemplates' web provider does."""

    def __init__(self, address: str, process: "Popen[bytes]") -> None:
        """`process` serves `address`."""
        self.address, self.process = address, process

    def ask(self, rollout: str, stable: str, canary: str, started: float) -> dict[str, Any]:
        """The verdict as JSON has it; raises Problem where there is no answer, or none with 200."""
        begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
        asked = {"rollout": rollout, "stable": stable, "canary": canary, "started": begun}
        place = f"{self.address}/v1/verdict?{urlencode(asked)}"
        try:
            with DIRECT.open(place, timeout=ANSWER_SECONDS) as answer:
                found: dict[str, Any] = json.loads(answer.read())
        except (URLError, OSError, ValueError) as error:
            reason = str(getattr(error, "reason", error))
            raise Problem("the judge", reason, "a verdict", "Is it running?") from None
        return found

    def kill(self) -> None:
        """As a node that is lost: nothing answers there any more."""
        self.process.kill()
        self.process.wait()


@contextmanager
def judging(folder: Path, history: Path, logged: Path) -> Iterator[Judge]:
    """A judge until the block ends; `folder` has the params.yaml that it judges by."""
    port = free_port()
    words = [str(history.resolve()), str(logged.resolve()), str(port)]
    with (folder / "judge.log").open("w") as output:
        process = Popen(
            [sys.executable, "-P", "-m", "preflight.rehearsal.judging", *words],
            cwd=folder,
            stdout=output,
            stderr=STDOUT,
        )
    judge = Judge(f"http://127.0.0.1:{port}", process)
    try:
        _wait(judge, folder / "judge.log")
        yield judge
    finally:
        process.terminate()
        try:
            process.wait(10)
        except TimeoutExpired:
            judge.kill()


def _wait(judge: Judge, logged: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and judge.process.poll() is None:
        try:
            with DIRECT.open(f"{judge.address}/readyz", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise Problem("the judge", "not ready", "an answer", f"See {logged}.")


def main(words: list[str]) -> None:
    """Serve verdicts over a watcher's file, model error by a log's outcomes, until SIGTERM."""
    history, logged, file = Path(words[0]), Path(words[1]), Path("params.yaml")
    chosen, declared = params.load(file), limits.load(file)

    def read(asked: Question, _: float) -> Found:
        found = sources.of_file(history, asked.started)
        return matured(found, logged, chosen, declared)

    def judge(asked: Question) -> Verdict:
        return judged(asked, read, declared)

    with logs.written(lambda _: None):
        uvicorn.run(
            application(judge),
            host="127.0.0.1",
            port=int(words[2]),
            log_config=None,
            access_log=False,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
