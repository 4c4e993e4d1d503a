import json
from pathlib import Path

import pytest

from auditor import Check, Finding, Share, Verdict
from auditor.check import Count
from auditor.cli import assignments
from auditor.config import file
from auditor.config import settings as config
from auditor.errors import UsageError


@Check
def edges(context, *, window: Count = 7, limit: Share = 0.5, layers: tuple[str, ...] = ()):
    """Does it look at edges?

    Rules:
        edges.blind: It does not.
    """
    yield Finding("edges.blind", Verdict.PASS, "yes")


CHECKS = {"edges": edges}
NET = Path("net.pt")


def from_flags(**flags):
    return config.load(NET, flags, checks=CHECKS)


@pytest.fixture
def from_file(tmp_path, monkeypatch):
    """Write `auditor.toml`, stand beside it, and load what it says with the flags over it."""
    monkeypatch.chdir(tmp_path)

    def load(text, **flags):
        (tmp_path / "auditor.toml").write_text(text)
        return config.load(NET, flags, file=file.find(), checks=CHECKS)

    return load


def refusal(call, *args, **kwargs):
    with pytest.raises(UsageError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_has_a_default_for_everything_but_the_checkpoint():
    assert from_flags() == config.Settings(NET)


def test_the_report_goes_to_a_folder_named_after_the_checkpoint():
    assert config.Settings(Path("runs/net.pt")).folder == Path("reports/net")
    assert config.Settings(NET, out=Path("there")).folder == Path("there")


def test_reads_the_text_of_flags():
    settings = from_flags(batch_size="16", seed="3", format="html,json", amp=True, check=("edges",), k="edges")
    assert (settings.batch_size, settings.seed, settings.amp) == (16, 3, True)
    assert (settings.formats, settings.checks, settings.expression) == (("html", "json"), ("edges",), "edges")


def test_a_flag_that_was_not_given_changes_nothing():
    assert from_flags(batch_size=None, check=(), plugin=()) == config.Settings(NET)


@pytest.mark.parametrize("key", ["batch-size", "batch_size"])
def test_a_file_spells_a_key_with_dash_or_underscore(from_file, key):
    assert from_file(f"{key} = 4").batch_size == 4


def test_flags_win_over_the_file(from_file):
    text = """
    seed = 1
    samples = 2
    amp = true
    plugin = ["json"]
    [checks.edges]
    window = 3
    limit = 0.25
    """
    flagged = from_file(text, seed="9", amp=False, plugin=("csv",), checks={"edges": {"window": "5"}})
    assert (flagged.seed, flagged.samples, flagged.amp) == (9, 2, False)
    assert flagged.options == {"edges": {"window": 5, "limit": 0.25}}
    assert flagged.plugins == ("json", "csv")


def test_x_ends_the_run_at_the_first_failure(from_file):
    assert from_flags(x=True).maxfail == 1
    assert from_file("x = false\nmaxfail = 3").maxfail == 3
    assert from_file("maxfail = 3", x=True).maxfail == 1


def test_finds_the_nearest_file_upwards(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "auditor.toml").write_text("seed = 1")
    assert file.find(inner).table == {"seed": 1}
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.auditor]\nseed = 2")
    assert file.find(inner).table == {"seed": 2}
    (tmp_path / "a" / "auditor.toml").write_text("seed = 3")
    assert file.find(inner).table == {"seed": 3}


def test_a_project_that_says_nothing_about_audits_ends_the_search(tmp_path):
    (tmp_path / "auditor.toml").write_text("seed = 1")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'")
    assert file.find(tmp_path / "a").table == {}


def test_paths_in_a_file_are_meant_from_its_folder(tmp_path, monkeypatch):
    (tmp_path / "auditor.toml").write_text("data = 'images'\nclasses = 'names.txt'\narch = 'net.py:Net'")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path / "runs")
    settings = config.load(NET, {}, file=file.find(), checks=CHECKS)
    assert Path(settings.data) == tmp_path / "images"
    assert settings.classes == tmp_path / "names.txt"
    assert settings.arch == f"{tmp_path}/net.py:Net"


def test_a_scheme_is_no_path(from_file):
    settings = from_file("data = 'bucket:photos'\narch = 'timm:resnet18'")
    assert (settings.data, settings.arch) == ("bucket:photos", "timm:resnet18")


def test_reads_the_preprocessing_from_table_preset_and_file(from_file, tmp_path):
    expected = {"resize": 256, "crop": (224, 192), "mean": (0.5, 0.5, 0.5), "color": "bgr"}
    table = "resize = 256\ncrop = [224, 192]\nmean = [0.5, 0.5, 0.5]\ncolor = 'bgr'\n"
    (tmp_path / "bare.toml").write_text(table)
    (tmp_path / "whole.toml").write_text("[preprocess]\n" + table)
    (tmp_path / "same.json").write_text(json.dumps(expected))
    assert from_file("[preprocess]\n" + table).preprocess == expected
    for name in ("bare.toml", "whole.toml", "same.json"):
        assert from_flags(preprocess=name).preprocess == expected
    assert from_flags(preprocess="imagenet").preprocess == "imagenet"


def test_a_level_takes_the_place_of_a_rule_s_own(from_file):
    assert from_file("[levels]\n'edges.blind' = 'fail'").levels == {"edges.blind": "fail"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize = 3", "auditor.toml: no setting is called 'batchsize'; did you mean 'batch-size'?"),
        ("batch-size = 0", "auditor.toml: batch-size is 0, but has to be a whole number, from 1 to 65536"),
        ("seed = 'one'", "auditor.toml: seed is 'one', but has to be a whole number, from 0 to 9223372036854775807"),
        ("strict = 1", "auditor.toml: strict is 1, but has to be true or false"),
        ("out = 3", "auditor.toml: out is 3, but has to be text"),
        ("device = 'gpu'", "auditor.toml: device is 'gpu', but has to be auto, cpu, cuda, cuda:N or mps"),
        ("format = ['htm']", "auditor.toml: no report format is called 'htm'; did you mean 'html'?"),
        ("check = ['edge']", "auditor.toml: no check is called 'edge'; did you mean 'edges'?"),
        ("[checks.edgse]\nwindow = 3", "auditor.toml: no check is called 'edgse'; did you mean 'edges'?"),
        ("[checks]\nedges = 3", "auditor.toml: checks.edges is 3, but has to be a table"),
        ("[checks.edges]\nlimit = 2", "auditor.toml: edges.limit is 2, but has to be a number, from 0 to 1"),
        (
            "[levels]\n'edges.blnd' = 'fail'",
            "auditor.toml: no rule is called 'edges.blnd'; did you mean 'edges.blind'?",
        ),
        (
            "[levels]\n'edges.blind' = 'bad'",
            "auditor.toml: levels.edges.blind is 'bad', but has to be 'fail' or 'warn'",
        ),
        ("[preprocess]\nsize = 3", "auditor.toml: no key of [preprocess] is called 'size'; did you mean 'resize'?"),
        ("[preprocess]\ncolor = 'hsv'", "auditor.toml: preprocess.color is 'hsv', but has to be 'rgb' or 'bgr'"),
        ("seed = ", "auditor.toml is not valid TOML: "),
    ],
)
def test_names_the_file_and_what_would_do(from_file, text, message):
    assert refusal(from_file, text).startswith(message)


def test_lists_the_options_that_there_are(from_file):
    message = refusal(from_file, "[checks.edges]\nwindwo = 3")
    assert (
        message == "auditor.toml: edges has no option 'windwo'; it has: layers, limit, window; did you mean 'window'?"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"batch_size": "many"}, "--batch-size is 'many', but has to be a whole number, from 1 to 65536"),
        ({"device": "gpu"}, "--device is 'gpu'"),
        ({"check": ("edge",)}, "no check is called 'edge'; did you mean 'edges'?"),
        ({"checks": {"edges": {"window": "0"}}}, "edges.window is '0', but has to be a whole number, at least 1"),
        ({"preprocess": "gone.toml"}, "gone.toml can't be read: No such file or directory"),
    ],
)
def test_names_the_flag_and_what_would_do(flags, message):
    assert refusal(from_flags, **flags).startswith(message)


def test_names_a_configuration_file_that_is_missing(tmp_path):
    assert "none.toml can't be read" in refusal(file.read, tmp_path / "none.toml")


def test_an_option_on_the_command_line_is_text_until_the_check_reads_it():
    table = assignments.options(["edges.window=3", "edges.layers=conv1, layer1.0.conv1"])
    assert from_flags(checks=table).options == {"edges": {"window": 3, "layers": ("conv1", "layer1.0.conv1")}}


@pytest.mark.parametrize("text", ["window=3", "edges.window", "edges.=3", ".window=3", ""])
def test_refuses_an_option_without_check_name_or_value(text):
    assert refusal(assignments.options, [text]) == f"-o is {text!r}, but has to be CHECK.OPTION=VALUE"


def test_an_argument_of_the_architecture_is_a_literal_where_it_reads_as_one():
    texts = ["num_classes=7", "depths=(2, 2)", "bias=false", "name=tiny", "drop=0.5", "pool=None"]
    assert assignments.arguments(texts) == {
        "num_classes": 7,
        "depths": (2, 2),
        "bias": False,
        "name": "tiny",
        "drop": 0.5,
        "pool": None,
    }


def test_refuses_an_argument_without_a_value():
    assert refusal(assignments.arguments, ["depth"]) == "--arch-arg is 'depth', but has to be KEY=VALUE"
