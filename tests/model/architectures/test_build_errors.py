"""What the code of `--arch` raises while it builds a network, and what the line says."""

import pytest
import torch
from torch import nn

from auditor.errors import ArchitectureError
from auditor.model.architectures import builders

CODE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, width=4):
        super().__init__()
        self.fc = nn.Linear(width, num_classes)


class Block(nn.Module):
    pass


def downloads():
    from urllib.error import URLError

    raise URLError("no route")


def asks_for_cuda():
    return nn.Linear(2, 2).cuda()


def opens():
    return open("classes_of_mine.txt")


def exits():
    raise SystemExit(2)


def network():
    return nn.Linear(2, 2), "and more"
"""
SOURCES = {
    "imports a package": ("import a_package_of_nobody\n", "needs the package 'a_package_of_nobody'"),
    "imports a name": ("from torch import nothing_like_it\n", r"install the version of the package"),
    "is a script": ("import argparse\nargparse.ArgumentParser().parse_args(['x'])\n", "if __name__ == '__main__'"),
    "is no Python": ("x = 1\ndef Net(:\n", r"net\.py is no valid Python: line 2"),
    "raises": ("x = 1\n1 / 0\n", r"ZeroDivisionError: division by zero \(in net\.py:2\)"),
}
CALLS = {
    "Net": r"Net wants 1 more argument: give --arch-arg num_classes=\.\.\.",
    "Nett": "did you mean 'Net'",
    "Model": r"has no 'Model'; it defines Net, Block",
    "downloads": "wants to download: build it without pretrained weights",
    "opens": r"FileNotFoundError.*\(in net\.py:\d+\); its code opens a file that is not here",
    "exits": "its code ends the process",
    "network": r"returned tuple; expected a torch\.nn\.Module",
}


def built(spec, **arguments):
    return builders.named(spec, {})(arguments)


@pytest.mark.parametrize("source", SOURCES)
def test_says_why_a_file_can_not_be_imported(tmp_path, source):
    text, words = SOURCES[source]
    (tmp_path / "net.py").write_text(text)
    with pytest.raises(ArchitectureError, match=words) as refused:
        built(f"{tmp_path / 'net.py'}:Net")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", CALLS)
def test_says_why_a_callable_gives_no_network(tmp_path, name):
    (tmp_path / "net.py").write_text(CODE)
    with pytest.raises(ArchitectureError, match=CALLS[name]) as refused:
        built(f"{tmp_path / 'net.py'}:{name}")
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_says_that_a_network_is_built_for_cuda(tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    with pytest.raises(ArchitectureError, match="asks for CUDA while it is built"):
        built(f"{tmp_path / 'net.py'}:asks_for_cuda")


def test_names_the_arguments_that_there_are_for_an_unknown_one(tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    words = r"no argument 'widht'; did you mean 'width'\?; it takes num_classes, width"
    with pytest.raises(ArchitectureError, match=words):
        built(f"{tmp_path / 'net.py'}:Net", num_classes=2, widht=3)
    assert isinstance(built(f"{tmp_path / 'net.py'}:Net", num_classes=2), nn.Module)


def test_names_the_package_of_a_file_that_imports_from_it(tmp_path):
    folder = tmp_path / "zoo" / "nets"
    folder.mkdir(parents=True)
    for each in (folder, folder.parent):
        (each / "__init__.py").touch()
    (folder / "small.py").write_text("from .parts import head\n")
    with pytest.raises(ArchitectureError) as refused:
        built(f"{folder / 'small.py'}:Net")
    assert f"use --arch zoo.nets.small:CALLABLE, and run auditor in {tmp_path}" in str(refused.value)


def test_names_what_can_be_called_in_a_file_without_running_it(tmp_path):
    (tmp_path / "net.py").write_text(f"{CODE}\nraise SystemError\n")
    with pytest.raises(ArchitectureError, match=r"give .*net\.py:Net; it defines Net, Block, downloads"):
        built(str(tmp_path / "net.py"))


def test_names_the_network_of_timm_where_torchvision_has_none_of_that_name():
    pytest.importorskip("timm")
    with pytest.raises(ArchitectureError, match="did you mean 'timm:resnet10t'"):
        built("resnet10t")
