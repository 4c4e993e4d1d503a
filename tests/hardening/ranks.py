"""A plugin whose check, and whose collector, end one of several processes early, as the environment says."""

import os
import signal
import time

from auditor import Check, Finding, Verdict
from auditor.collectors import Predictions

HERE, HOW = os.environ.get("RANK"), os.environ.get("ENDS", "")


class Ending(Predictions):
    """Ends the process in which the pass reaches it."""

    def update(self, batch, reduced):
        if HOW.startswith(f"pass {HERE} "):
            end(HOW.split()[-1])
        super().update(batch, reduced)


def end(how):
    """End this process."""
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


@Check
def ending(context):
    """Does a process end?"""
    if HOW.startswith(f"check {HERE} "):
        end(HOW.split()[-1])
    yield Ending()
    yield Finding("ending.rule", Verdict.PASS, "all is well")


@Check
def long(context):
    """Does it take long?"""
    time.sleep(float(os.environ.get("LONG", "0")))
    yield Finding("long.rule", Verdict.PASS, "all is well")
