"""When the three signals interrupt, and when they wait."""

import os
import signal

import pytest

from auditor.process import interrupts


@pytest.fixture
def taken(monkeypatch):
    monkeypatch.setattr(interrupts, "_ONE_REQUEST", 0.0)
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    monkeypatch.setattr(os, "register_at_fork", lambda **functions: None)
    for number in interrupts.SIGNALS:  # the tests may have been started to ignore some, as by a shell's `&`
        signal.signal(number, signal.SIG_DFL)
    interrupts.installed()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_each_signal_interrupts(taken, number):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_a_signal_in_a_held_block_waits_for_the_next_open_one(taken):
    with interrupts.held():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), interrupts.opened():
            pytest.fail("the block began")
        with interrupts.opened():
            pass


def test_the_third_signal_breaks_into_a_held_block(taken):
    with interrupts.held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
