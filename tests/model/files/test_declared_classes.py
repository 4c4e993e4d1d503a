"""Class names in the forms in which training code saves them."""

import argparse
import json
import pickle
from enum import Enum

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from auditor.model.files.checkpoint import read
from auditor.model.files.declared_classes import class_lists, class_names

PAIR = ("zebra", "ant")

FORMS = {
    "list": ["zebra", "ant"],
    "tuple": ("zebra", "ant"),
    "index to name": {0: "zebra", 1: "ant"},
    "index to name, not in order": {1: "ant", 0: "zebra"},
    "name to index": {"ant": 1, "zebra": 0},
    "text to name": {"0": "zebra", "1": "ant"},
    "name to text": {"zebra": "0", "ant": "1"},
    "name to float": {"zebra": 0.0, "ant": 1.0},
    "from 1": {1: "zebra", 2: "ant"},
    "categories of COCO": [{"id": 0, "name": "zebra"}, {"id": 1, "name": "ant"}],
    "JSON": '["zebra", "ant"]',
    "JSON of a mapping": '{"1": "ant", "0": "zebra"}',
    "lines": "zebra\nant\n",
}


@pytest.mark.parametrize("value", FORMS.values(), ids=FORMS)
def test_reads_class_names_in_any_form(value):
    assert class_names(value) == PAIR


@pytest.mark.parametrize(
    "value",
    [
        [], {}, None, 5, "zebra", "{broken", ["zebra", 1], {0: "zebra", 2: "ant"}, {"zebra": 0, "ant": 0},
        {"a": "b", "c": "d"}, {0: "LABEL_0", 1: "LABEL_1"}, {"x": float("inf")}, {"x": [1]}, [{"id": 0}], {True: "a"},
    ],
)  # fmt: skip
def test_takes_nothing_that_names_no_class_for_each_index(value):
    assert class_names(value) is None


@pytest.mark.parametrize(
    "key",
    [
        "classes", "CLASSES", "class_names", "classNames", "class-names", "classes_", "class_to_idx", "idx_to_class",
        "id2label", "label2id", "label_map", "labels", "names", "idx2class", "index_to_name", "label_names",
    ],
)  # fmt: skip
def test_knows_every_usual_name(key):
    assert class_lists({key: {0: "zebra", 1: "ant"}}) == (PAIR,)


class Colour(Enum):
    ZEBRA = "zebra"
    ANT = "ant"


PLACES = {
    "OpenMMLab": {"meta": {"CLASSES": PAIR, "mmcls_version": "0.25"}},
    "OpenMMLab 2": {"meta": {"dataset_meta": {"classes": PAIR, "palette": None}}},
    "Lightning": {"hyper_parameters": {"data": {"id2label": {0: "zebra", 1: "ant"}}}},
    "argparse": {"args": argparse.Namespace(lr=0.1, class_names=["zebra", "ant"])},
    "OmegaConf": {"hyper_parameters": OmegaConf.create({"data": {"classes": ["zebra", "ant"]}})},
    "OmegaConf, a mapping": {"cfg": OmegaConf.create({"data": {"label_map": {"zebra": 0, "ant": 1}}})},
    "numpy": {"classes": np.array(["zebra", "ant"])},
    "numpy, objects": {"classes": np.array(["zebra", "ant"], dtype=object)},
    "numpy scalars": {"classes": [np.str_("zebra"), np.str_("ant")]},
    "numpy indices": {"class_to_idx": {"zebra": np.int64(0), "ant": np.int64(1)}},
    "enum": {"classes": [Colour.ZEBRA, Colour.ANT]},
    "deep": {"a": {"b": {"c": {"d": {"classes": ["zebra", "ant"]}}}}},
}


@pytest.mark.parametrize("said", PLACES.values(), ids=PLACES)
def test_finds_class_names_in_real_files_at_any_depth(tmp_path, said):
    torch.save({"state_dict": {"w": torch.ones(2, 2)}, **said}, tmp_path / "net.pt")
    assert read(tmp_path / "net.pt").metadata["classes"] == PAIR


def test_a_label_encoder_gives_its_classes(tmp_path):
    from sklearn.preprocessing import LabelEncoder

    encoder = LabelEncoder().fit(["zebra", "ant", "zebra"])
    torch.save({"state_dict": {"w": torch.ones(2, 2)}, "encoder": encoder}, tmp_path / "net.pt")
    file = read(tmp_path / "net.pt")
    assert file.metadata["classes"] == ("ant", "zebra")
    assert "sklearn.preprocessing._label.LabelEncoder" in file.metadata["objects"]


def test_all_lists_are_kept_for_the_network_to_choose(tmp_path):
    said = {"classes": ["a", "b", "c"], "hparams": {"names": {0: "zebra", 1: "ant"}}}
    torch.save({"state_dict": {"w": torch.ones(2, 2)}, **said}, tmp_path / "net.pt")
    assert read(tmp_path / "net.pt").metadata["class_lists"] == (("a", "b", "c"), PAIR)


def test_what_holds_itself_ends(tmp_path):
    said = {"state_dict": {"w": torch.ones(2, 2)}, "classes": ["zebra", "ant"]}
    said["config"] = said
    said["args"] = argparse.Namespace(said=said)
    (tmp_path / "net.pt").write_bytes(pickle.dumps({"epoch": 1}))
    torch.save(said, tmp_path / "net.pt")
    assert read(tmp_path / "net.pt").metadata["classes"] == PAIR


def test_extra_files_of_a_program_name_classes(tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends torch.export
        script = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
        for name, content in {
            "index_to_name.json": json.dumps({"0": "zebra", "1": "ant"}),
            "labels": "zebra\nant",
        }.items():
            torch.jit.save(script, tmp_path / "net.pt", _extra_files={name: content, "noise.bin": b"\xff\xfe"})
            assert read(tmp_path / "net.pt", trust=True).metadata["classes"] == PAIR
