"""Checks that misbehave, as a plugin: each ends, blocks or breaks the process that it runs in, in a way of its own.

Each stands for an accident. `ends` are those that end the process, `hang` those that Python can't interrupt.
"""

import _thread
import atexit
import ctypes
import faulthandler
import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress

from auditor import Check, Finding, Verdict

C = ctypes.CDLL(None)
ends, hang, others = {}, {}, {}


def check(kind):
    """Make a check of a function that is run before the check yields that all is well."""

    def made(function):
        def checked(context):
            yield Finding(f"{name}.before", Verdict.PASS, "kept")
            function(context)
            yield Finding(f"{name}.after", Verdict.PASS, "all is well")

        name = checked.__name__ = function.__name__
        checked.__doc__ = "Does it behave?"
        kind[name] = Check(checked)
        return kind[name]

    return made


@check(ends)
def exit_at_once(context):
    os._exit(0)


@check(ends)
def exit_at_once_with_one(context):
    os._exit(1)


@check(ends)
def exit_of_c(context):
    C.exit(0)


@check(ends)
def exit_of_c_at_once(context):
    C._exit(0)


@check(ends)
def exit_in_a_thread(context):
    threading.Thread(target=os._exit, args=(0,)).start()
    time.sleep(60)


@check(ends)
def exit_of_c_in_a_thread(context):
    threading.Thread(target=C._exit, args=(0,)).start()
    time.sleep(60)


@check(ends)
def exit_by_a_timer(context):
    threading.Timer(0.2, os._exit, (0,)).start()
    time.sleep(60)


@check(ends)
def exit_by_a_signal_handler(context):
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
    signal.raise_signal(signal.SIGUSR1)


@check(ends)
def unhandled_user_signal(context):
    signal.raise_signal(signal.SIGUSR2)


@check(ends)
def killed(context):
    signal.raise_signal(signal.SIGKILL)


@check(ends)
def killed_by_its_own_child(context):
    subprocess.run(["sh", "-c", f"kill -9 {os.getpid()}"], check=False)
    time.sleep(60)


@check(ends)
def segmentation_fault(context):
    signal.raise_signal(signal.SIGSEGV)


@check(ends)
def null_pointer(context):
    ctypes.string_at(0)


@check(ends)
def aborted(context):
    C.abort()


@check(ends)
def aborted_by_python(context):
    os.abort()


@check(ends)
def floating_point_exception(context):
    signal.raise_signal(signal.SIGFPE)


@check(ends)
def bus_error(context):
    signal.raise_signal(signal.SIGBUS)


@check(ends)
def illegal_instruction(context):
    signal.raise_signal(signal.SIGILL)


@check(ends)
def broken_pipe(context):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.raise_signal(signal.SIGPIPE)


@check(ends)
def alarm(context):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGALRM)


@check(ends)
def no_time_on_the_processor(context):
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


@check(ends)
def another_program(context):
    os.execv("/bin/true", ["true"])  # noqa: S606


@check(ends)
def another_program_without_descriptors(context):
    os.closerange(0, 4096)
    os.execv("/bin/true", ["true"])  # noqa: S606


@check(ends)
def all_descriptors_closed(context):
    os.closerange(0, 4096)


@check(ends)
def all_descriptors_something_else(context):
    null = os.open(os.devnull, os.O_RDWR)
    for handle in range(1024):
        if handle != null:
            os.dup2(null, handle)


@check(ends)
def faulthandler_that_exits(context):
    faulthandler.dump_traceback_later(0.2, exit=True)
    time.sleep(60)


@check(ends)
def stack_overflow(context):
    sys.setrecursionlimit(10**8)
    threading.stack_size(2**18)
    nested = []
    for _ in range(10**6):
        nested = [nested]
    thread = threading.Thread(target=repr, args=(nested,))
    thread.start()
    thread.join()


@check(ends)
def fatal_error(context):
    ctypes.pythonapi.Py_FatalError(b"on purpose")


@check(ends)
def finalized(context):
    ctypes.pythonapi.Py_Exit(0)


@check(hang)
def loop_without_python(context):
    sum(itertools.repeat(1))


@check(hang)
def swallows_everything(context):
    while True:
        with suppress(BaseException):
            time.sleep(1)


@check(hang)
def blocked_alarm(context):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(600)


@check(hang)
def stopped(context):
    signal.raise_signal(signal.SIGSTOP)


@check(others)
def sys_exit(context):
    sys.exit(0)


@check(others)
def sys_exit_with_words(context):
    sys.exit("all is well")


@check(others)
def sys_exit_in_a_thread(context):
    thread = threading.Thread(target=sys.exit, args=(0,))
    thread.start()
    thread.join()
    raise RuntimeError("the thread has left")


@check(others)
def thread_exit(context):
    _thread.exit()


@check(others)
def base_exception(context):
    raise BaseException("on purpose")


@check(others)
def stop_iteration(context):
    raise StopIteration


@check(others)
def generator_exit(context):
    raise GeneratorExit


@check(others)
def memory_error(context):
    bytearray(2**62)


@check(others)
def endless_recursion(context):
    (lambda f: f(f))(lambda f: f(f))


@check(others)
def warnings_as_errors(context):
    warnings.simplefilter("error")
    warnings.warn("on purpose", stacklevel=1)


@check(others)
def deadlock(context):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@check(others)
def sleeps(context):
    time.sleep(600)


@check(others)
def swallows_exceptions(context):
    while True:
        with suppress(Exception):
            time.sleep(0.01)


@check(others)
def waits_for_input(context):
    if not sys.stdin.read(1):
        raise EOFError


@check(others)
def waits_for_a_child(context):
    subprocess.run(["sleep", "600"], check=True)


@check(others)
def joins_a_thread_that_never_ends(context):
    thread = threading.Thread(target=time.sleep, args=(10**6,))
    thread.start()
    thread.join()


@check(others)
def copies_the_process(context):
    if os.fork():
        os.wait()
        raise RuntimeError("the copy has ended")


@check(others)
def replaces_the_output(context):
    sys.stdout = sys.stderr = None
    raise RuntimeError("replaced")


def _endless(context):
    """Does it behave?"""
    while True:
        yield Finding("endless.after", Verdict.PASS, "all is well")


def _yields_nothing(context):
    """Does it behave?"""
    return
    yield


def _returns(context):
    """Does it behave?"""
    yield Finding("returns.after", Verdict.PASS, "all is well")
    return 0


def _yields_numbers(context):
    """Does it behave?"""
    yield 0


for _name, _function in {
    "endless": _endless,
    "yields_nothing": _yields_nothing,
    "returns": _returns,
    "yields_numbers": _yields_numbers,
}.items():
    _function.__name__ = _name
    others[_name] = Check(_function)
for _kind in (ends, hang, others):
    globals().update(_kind)


@Check
def sound(context):
    """Does it behave?"""
    yield Finding("sound.after", Verdict.PASS, "all is well")


@check(at_the_end := {})
def exit_function_that_exits(context):
    atexit.register(os._exit, 0)


@check(at_the_end)
def exit_function_that_is_killed(context):
    atexit.register(signal.raise_signal, signal.SIGKILL)


@check(at_the_end)
def timer_that_exits_later(context):
    signal.signal(signal.SIGVTALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.01, 0.01)


@check(at_the_end)
def closes_the_output(context):
    sys.stdout.close()
    raise RuntimeError("closed")


@check(at_the_end)
def kills_its_supervisor(context):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


@check(at_the_end)
def interrupts_its_supervisor(context):
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)


@check(at_the_end)
def takes_all_memory(context):
    import torch

    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    kept = [torch.ones(2**20)]
    while True:
        kept.append(torch.ones(2**20))


@check(lasting := {})
def thread_that_never_ends(context):
    threading.Thread(target=time.sleep, args=(10**6,)).start()


@check(lasting)
def daemon_thread_that_never_ends(context):
    threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()


globals().update(at_the_end | lasting)
