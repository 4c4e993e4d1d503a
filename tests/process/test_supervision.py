"""The supervisor with commands of one line, in processes of their own."""

import subprocess
import sys
import time

import pytest

PROGRAM = """
import atexit, os, signal, sys, threading, time
from auditor.process import signs
from auditor.process.supervision import Tell, supervised


def command():
    {command}
    return 0


def say(line, words):
    os.write(2, f"{{words}}|{{line}}\\n".encode())


sys.exit(supervised(command, Tell(say, say), silence={silence}))
"""


def run(command, silence=60):
    asked = [sys.executable, "-c", PROGRAM.format(command=command, silence=silence)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("os._exit(0)", "its start (exit code 0); there is no verdict"),
        ("os.abort()", "its start (signal 6, aborted); there is no verdict"),
        ("signs.phase('the test'); os._exit(7)", "the test (exit code 7); there is no verdict"),
        ("signs.last_words('::end::'); os._exit(0)", "::end::|the process ended"),
        ("atexit.register(os._exit, 0)", "its end (exit code 0); there is no verdict"),
        ("os.fork() or signs.beat(); os._exit(0)", "its start (exit code 0)"),
        ("raise SystemExit(0)", "its start (exit code 3)"),
    ],
)
def test_an_abnormal_end_is_one_line_and_no_success(command, line):
    code, told = run(command)
    assert code == 3
    assert line in told


@pytest.mark.parametrize(("command", "code"), [("pass", 0), ("return 1", 1), ("return 5", 5)])
def test_the_exit_code_of_the_command_is_that_of_the_supervisor(command, code):
    assert run(command) == (code, "")


def test_a_thread_that_never_ends_does_not_hold_up_the_end():
    assert run("threading.Thread(target=time.sleep, args=(10**6,)).start()") == (0, "")


def test_a_process_without_a_sign_of_life_is_ended():
    begun = time.monotonic()
    code, told = run("time.sleep(600)", silence=1.5)
    assert code == 3
    assert "no sign of life for" in told
    assert time.monotonic() - begun < 30


def test_the_command_starts_again_without_the_check_that_ended_it_and_only_once():
    again = "odd = signs.turn('odd', signs.BEGIN, 0); signs.deaths() or odd.__enter__() or os._exit(0)"
    assert run(again) == (0, "|check 'odd' ended the process (exit code 0); the audit starts again without it\n")
    code, told = run("odd = signs.turn('odd', signs.BEGIN, 0); odd.__enter__(); os._exit(0)")
    assert code == 3
    assert len(told.splitlines()) == 2


def test_a_copy_of_the_process_never_ends_it_with_success():
    code, told = run("os.fork() and time.sleep(0.5)")
    assert (code, told) == (0, "")
