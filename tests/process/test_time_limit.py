"""A limit to the time of a block."""

import signal
import threading
import time

import pytest

from auditor.process.time_limit import OutOfTime, limited


def test_a_block_that_takes_too_long_is_stopped_and_the_handler_restored():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(OutOfTime), limited(0.1):
        time.sleep(60)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_block_that_swallows_it_is_stopped_again():
    times = 0

    def swallow():
        nonlocal times
        while times < 3:
            try:
                time.sleep(60)
            except OutOfTime:
                times += 1
        time.sleep(60)

    with pytest.raises(OutOfTime), limited(0.1):
        swallow()
    assert times == 3


def test_a_block_in_time_another_thread_and_no_limit_are_left_alone():
    for seconds in (0, 60):
        with limited(seconds):
            pass
    done = []

    def wait():
        with limited(0.05):
            time.sleep(0.2)
        done.append(1)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert done
