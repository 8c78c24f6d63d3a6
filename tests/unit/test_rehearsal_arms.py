"""An arm of a rehearsal leaves nothing behind, however its processes take the end."""

import signal
import sys
from pathlib import Path

import psutil
import pytest

from preflight.rehearsal.arms import Arm
from served import until

# A worker in a session of its own, as BentoML's; the parent ends on SIGINT, the worker need not.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True).wait()
"""
WORKER = """
import signal, time
signal.signal(signal.SIGINT, signal.{how})
open({place!r}, "w").close()
while True:
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["SIG_IGN", "default_int_handler"])
def test_a_worker_that_outlives_its_parent_ends_with_the_arm(how: str, tmp_path: Path) -> None:
    place = tmp_path / "ready"
    worker = WORKER.format(how=how, place=str(place))
    command = [sys.executable, "-c", PARENT, worker, "1"]
    arm = Arm("stable", "a-key", command, tmp_path / "log", {})
    until(place.exists, 10)
    (child,) = psutil.Process(arm.pid).children()
    try:
        arm.interrupt()
        until(lambda: not psutil.pid_exists(arm.pid), 10)
        arm.end()
        until(lambda: not child.is_running(), 5)
    finally:
        if child.is_running():
            child.send_signal(signal.SIGKILL)
    assert arm.restarts == 0
