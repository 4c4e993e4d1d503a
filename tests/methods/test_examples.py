"""Every public name of `auditor.methods` has an example, and every example is true."""

import doctest
from importlib import import_module
from inspect import isclass, isroutine

import pytest
import torch

from auditor import methods

FINDER = doctest.DocTestFinder()


def examples_of(value, name):
    """Return the examples in the docstring of a function or class."""
    return [found for found in FINDER.find(value, name) if found.examples]


def examples_with(name):
    """Return the examples of a public name; a constant's are in its module's docstring and use it."""
    value = getattr(methods, name)
    if isclass(value) or isroutine(value):
        return examples_of(value, name)
    (home,) = [home for home, names in methods._HOMES.items() if name in names]
    module = import_module(f"auditor.{home}")
    own = doctest.DocTestParser().get_doctest(module.__doc__, {}, name, module.__file__, 0)
    return [own] if any(name in example.source for example in own.examples) else []


def failures(test):
    """Run an example as a user who pastes it, and return what went wrong."""
    report = []
    test.globs = {}
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return "".join(report)


@pytest.mark.parametrize("name", methods.__all__)
def test_the_examples_of_every_public_name_run_and_give_what_they_show(name):
    found = examples_with(name)
    assert found, f"{name} has no example in its docstring"
    with torch.random.fork_rng(devices=[]):
        assert not "".join(map(failures, found))


@pytest.mark.parametrize("name", [name for name in methods.__all__ if isroutine(getattr(methods, name))])
def test_the_example_of_a_function_calls_it(name):
    assert any(f"methods.{name}(" in one.source for found in examples_with(name) for one in found.examples)


def test_the_example_of_the_package_runs():
    test = doctest.DocTestParser().get_doctest(methods.__doc__, {}, "methods", methods.__file__, 0)
    assert test.examples
    with torch.random.fork_rng(devices=[]):
        assert not failures(test)


def test_a_name_without_an_example_is_noticed():
    def bare():
        """Return nothing."""

    assert not examples_of(bare, "bare")


def test_an_example_that_is_wrong_is_noticed():
    def wrong():
        """Return one.

        >>> 1 + 1
        3
        """

    (found,) = examples_of(wrong, "wrong")
    assert "Expected:" in failures(found)
