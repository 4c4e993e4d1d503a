"""Each measure of the sandbox, tried from the inside."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from auditor.process import landlock, sandbox, seccomp

pytestmark = pytest.mark.skipif(not sandbox.available(), reason="only Linux has seccomp")

INSIDE = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading, time


def main(descriptors, seal):
    held = seal(2**30)
    for name in sys.stdin.readline().split():
        try:
            found = ATTEMPTS[name](descriptors)
        except BaseException as error:
            found = f"refused: {type(error).__name__}"
        print(json.dumps([name, str(found)]), flush=True)
    print(json.dumps(["held", held]), flush=True)


def opened(path, flags=os.O_RDONLY):
    handle = os.open(path, flags, 0o600)
    return os.read(handle, 10) if flags == os.O_RDONLY else os.write(handle, b"x")


def forked():
    if not os.fork():
        os._exit(0)
    return "forked"


def thread_count():
    seen = []
    one = threading.Thread(target=seen.append, args=[1])
    one.start()
    one.join()
    return seen


def limited(bound, value):
    resource.setrlimit(bound, (value, value))
    return "lifted"


def mapped(path):
    import mmap
    return mmap.mmap(os.open(path, os.O_RDWR), 1)


def traced():
    if ctypes.CDLL(None, use_errno=True).ptrace(16, os.getppid(), 0, 0):
        raise OSError("ptrace")
    return "traced"


def called(number):
    if ctypes.CDLL(None, use_errno=True).syscall(number, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "called"


HERE = "FOLDER"
ATTEMPTS = {
    "computes": lambda _: sum(range(10)),
    "threads": lambda _: thread_count(),
    "imports": lambda _: __import__("sqlite3") and "imported",
    "its_file": lambda given: os.pread(given[0], 5, 0),
    "its_file_by_name": lambda given: opened(f"/proc/self/fd/{given[0]}"),
    "environment": lambda _: os.environ.get("AUDITOR_SECRET", "no secret"),
    "reads_a_secret": lambda _: opened(HERE + "/secret"),
    "reads_passwords": lambda _: opened("/etc/passwd"),
    "lists": lambda _: os.listdir(HERE),
    "writes": lambda _: opened(HERE + "/written", os.O_WRONLY | os.O_CREAT),
    "writes_a_temporary": lambda _: opened("/tmp/auditor-escaped", os.O_WRONLY | os.O_CREAT),
    "writes_unnamed": lambda _: opened("/tmp", os.O_RDWR | getattr(os, "O_TMPFILE", 0)),
    "appends": lambda _: opened(HERE + "/secret", os.O_WRONLY | os.O_APPEND),
    "truncates": lambda _: os.truncate(HERE + "/secret", 0),
    "maps": lambda _: mapped(HERE + "/secret"),
    "makes_a_folder": lambda _: os.mkdir(HERE + "/made"),
    "links": lambda _: os.symlink("/", HERE + "/link"),
    "removes": lambda _: os.unlink(HERE + "/secret"),
    "renames": lambda _: os.rename(HERE + "/secret", HERE + "/other"),
    "changes_a_mode": lambda _: os.chmod(HERE + "/secret", 0o777),
    "makes_memory_files": lambda _: os.memfd_create("x"),
    "connects": lambda _: socket.create_connection(("127.0.0.1", 9), 1),
    "sends_datagrams": lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "connects_locally": lambda _: socket.socket(socket.AF_UNIX),
    "pairs_sockets": lambda _: socket.socketpair(),
    "starts_a_program": lambda _: subprocess.run(["/bin/true"]),
    "execs": lambda _: os.execv("/bin/true", ["true"]),
    "forks": lambda _: forked(),
    "kills_its_parent": lambda _: os.kill(os.getppid(), 9),
    "kills_others": lambda _: os.kill(-1, 0),
    "signals_its_parent": lambda _: os.kill(os.getppid(), 0),
    "traces": lambda _: traced(),
    "lifts_memory": lambda _: limited(resource.RLIMIT_AS, resource.RLIM_INFINITY),
    "lifts_files": lambda _: limited(resource.RLIMIT_FSIZE, 100),
    "becomes_root": lambda _: os.setuid(0),
    "changes_root": lambda _: os.chroot("/"),
    "takes_too_much": lambda _: len(bytearray(8 * 2**30)),
    "io_uring": lambda _: called(425),
    "bpf": lambda _: called(321 if os.uname().machine == "x86_64" else 280),
    "new_mount": lambda _: called(428),
    "reads_a_process": lambda _: called(310 if os.uname().machine == "x86_64" else 270),
    "keys": lambda _: called(250 if os.uname().machine == "x86_64" else 219),
    "unshares": lambda _: called(272 if os.uname().machine == "x86_64" else 97),
}
"""
ALLOWED = {
    "computes": "45",
    "threads": "[1]",
    "imports": "imported",
    "its_file": "b'model'",
    "its_file_by_name": "b'model'",
    "environment": "no secret",
}


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    """Try everything in one process; return what it answered, by attempt, and the folder of the secret."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret").write_text("private")
    (folder / "model").write_text("model")
    code = tmp_path_factory.mktemp("code")
    (code / "attempts.py").write_text(INSIDE.replace("FOLDER", str(folder)))
    names = [line.split('"')[1] for line in INSIDE.splitlines() if line.startswith('    "') and "lambda" in line]
    with (folder / "model").open("rb") as model, pytest.MonkeyPatch.context() as patched:
        patched.setenv("AUDITOR_SECRET", "private")
        process = sandbox.start("attempts", descriptors=[model.fileno()], folders=[code])
        out, _ = process.communicate(" ".join(names).encode() + b"\n", timeout=60)
    return dict(json.loads(line) for line in out.decode().splitlines()), folder


def test_what_computing_needs_works(inside):
    answers, _folder = inside
    assert {name: answers[name] for name in ALLOWED} == ALLOWED


def test_everything_else_is_refused(inside):
    answers, folder = inside
    others = {name: answer for name, answer in answers.items() if name not in {*ALLOWED, "held"}}
    assert len(others) >= 30
    assert {name: answer for name, answer in others.items() if not answer.startswith("refused")} == {}
    assert sorted(path.name for path in folder.iterdir()) == ["model", "secret"]
    assert (folder / "secret").read_text() == "private"


def test_says_which_measures_hold(inside):
    held = inside[0]["held"]
    assert held[-2:] == ["seccomp", "resource limits"]
    assert (held[0] == f"Landlock ABI {landlock.abi()}") is (landlock.abi() > 0)


def test_without_landlock_nothing_but_reading_is_possible(tmp_path):
    """Older kernels have no Landlock."""
    (tmp_path / "attempts.py").write_text(INSIDE.replace("FOLDER", str(tmp_path)))
    (tmp_path / "secret").write_text("private")
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import ctypes
        from auditor.process import sandbox
        sandbox._prctl(38, 1)
        import attempts
        attempts.main([], sandbox._sealed)
    """)
    names = "writes appends truncates maps makes_a_folder removes renames links connects starts_a_program forks"
    done = subprocess.run([sys.executable, "-c", script], input=names.encode(), capture_output=True, timeout=60)
    answers = dict(json.loads(line) for line in done.stdout.decode().splitlines())
    assert answers.pop("held") == ["seccomp", "resource limits"]
    assert len(answers) == 11
    assert all(answer.startswith("refused") for answer in answers.values()), answers


def test_it_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "loops.py").write_text(
        "def main(given, seal):\n    seal(2**30)\n    print('ready', flush=True)\n    while True: pass\n"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib\nfrom auditor.process import sandbox\n"
            f"child = sandbox.start('loops', folders=[pathlib.Path({str(tmp_path)!r})])\n"
            "child.stdout.readline()\nprint(child.pid, flush=True)\nchild.wait()",
        ],
        stdout=subprocess.PIPE,
    )
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not _runs(child):
            return
        time.sleep(0.05)
    pytest.fail("the process outlived its parent")


def _runs(process):
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_an_unknown_kind_of_processor_has_no_sandbox(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    assert not sandbox.available()
    assert not seccomp.restrict()
