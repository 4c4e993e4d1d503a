"""The main job from the command line, on real files; what is refused, and what each end costs."""

import json
import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from auditor.cli.commands import main
from auditor.process.torchvision import torchvision
from tests import folders, networks
from tests.audits import LITTLE, record

CLASSES = ("cat", "dog", "fox", "owl")
SMALL = "[preprocess]\nresize = 64\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n"
OURS = "not passes and not warns and not fails and not breaks and not stops"
FIRST = "checkpoint or weights or filters or predictions or saliency"  # once read, the network is like any other
VERDICTS = """
from auditor import Check, Finding, Verdict


def ends(name, verdict):
    def check(context):
        yield Finding(f"{name}.ends", verdict, f"the {name} ends")

    check.__name__, check.__doc__ = name, f"Is it what {name}?\\n\\nRules:\\n    {name}.ends: always."
    return Check(check)


passes, warns, fails = ends("passes", Verdict.PASS), ends("warns", Verdict.WARN), ends("fails", Verdict.FAIL)


@Check
def breaks(context):
    '''Does it break?'''
    yield Finding("breaks.before", Verdict.PASS, "kept")
    raise RuntimeError("on purpose")


@Check
def stops(context):
    '''Does somebody press Ctrl-C?'''
    yield Finding("stops.before", Verdict.PASS, "kept")
    raise KeyboardInterrupt
"""


def resnet():
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folders.noise(tmp_path_factory.mktemp("photos"), CLASSES, 3, (70, 90), most=256, name="{}.jpg")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "auditor.toml").write_text(SMALL)
    networks.write(tmp_path / "tiny.py", networks.Tiny)
    (tmp_path / "auditfile.py").write_text(VERDICTS)
    torch.manual_seed(0)
    return tmp_path


@pytest.fixture
def tiny(here):
    """Lay down the weights of the small network of tiny.py, and return the flags that name it."""
    networks.save(networks.build(networks.Tiny), here / "net.pt")
    return ["net.pt", "--arch", "tiny.py:Tiny"]


@pytest.fixture
def auditor(here, command_line):
    return partial(command_line, "run")


def state_dict(path):
    torch.save(resnet().state_dict(), path)


def lightning(path):
    state = {f"model.{name}": tensor for name, tensor in resnet().state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "pytorch-lightning_version": "2.5.0", "optimizer_states": []}, path)


def tensors(path):
    save_file(resnet().state_dict(), path)


def script(path):
    torch.jit.trace(resnet().eval(), torch.zeros(1, 3, 64, 64)).save(str(path))


def exported(path):
    torch.export.save(torch.export.export(resnet().eval(), (torch.zeros(1, 3, 64, 64),)), path)


def timm_state(path):
    import timm

    torch.save(timm.create_model("resnet10t", num_classes=4).state_dict(), path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("file", "write", "flags", "checks", "architecture"),
    [
        ("net.pt", state_dict, [], OURS, "resnet18"),
        ("net.ckpt", lightning, [], FIRST, "resnet18"),
        ("net.safetensors", tensors, [], FIRST, "resnet18"),
        ("net.pt", script, [], OURS, ""),
        ("net.pt2", exported, [], OURS, ""),
        ("net.pth", timm_state, ["--arch", "timm:resnet10t"], FIRST, "resnet10t"),
    ],
    ids=["state dict", "Lightning", "safetensors", "TorchScript", "torch.export", "timm"],
)
def test_audits_a_checkpoint_of_every_kind(auditor, here, photos, file, write, flags, checks, architecture):
    write(here / file)
    (here / "auditor.toml").write_text(
        "samples = 2\n" + SMALL + LITTLE + "[checks.occlusion]\nwindow = 32\nstride = 32\n"
    )
    code, _, err = auditor(file, "--data", photos, "-k", checks, "--format", "html,json,junit", *flags)
    audit = record()
    assert code in (0, 1), err
    assert architecture in audit["provenance"]["architecture"]["name"]
    assert audit["provenance"]["data"]["classes"] == list(CLASSES)
    broken = [r["check"] for r in audit["results"] for e in r["evidence"] if e.get("verdict") == "error"]
    assert broken == []
    assert audit["exit_code"] == code


@pytest.mark.slow
def test_writes_every_file_of_the_contract(auditor, tiny, photos):
    auditor(*tiny, "--data", photos, "--check", "saliency", "--save-arrays")
    written = {path.name for path in Path("reports/net").iterdir()}
    assert written == {"report.html", "report.pdf", "audit.json", "junit.xml", "summary.md", "evidence", "arrays"}
    assert [path.name for path in Path("reports/net/arrays").iterdir()] == ["saliency.safetensors"]


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--check", "passes"], 0),
        (["--check", "warns"], 0),
        (["--check", "warns", "--strict"], 1),
        (["--check", "passes", "--strict"], 0),
        (["--check", "fails"], 1),
        (["--check", "breaks"], 1),
        (["--check", "stops", "--check", "passes"], 2),
        (["--check", "predictions"], 5),
    ],
)
def test_every_end_has_its_exit_code(auditor, tiny, flags, code):
    assert auditor(*tiny, *flags, "--format", "json")[0] == code
    assert record()["exit_code"] == code


def test_a_broken_check_keeps_what_it_found_and_lets_the_others_go_on(auditor, tiny):
    _, out, _ = auditor(*tiny, "-k", "breaks or passes", "--format", "json,junit")
    assert "\nERROR breaks.error  RuntimeError: on purpose.\n" in out
    assert "Traceback" not in out
    verdicts = {r["check"]: [e["verdict"] for e in r["evidence"]] for r in record()["results"]}
    assert verdicts == {"passes": ["pass"], "breaks": ["pass", "error"]}
    cases = ET.parse("reports/net/junit.xml").getroot().iter("testcase")  # noqa: S314 - our own file
    assert sum(case.find("error") is not None for case in cases) == 1


def test_an_interrupted_audit_is_written_and_marked(auditor, tiny):
    code, out, _ = auditor(*tiny, "--check", "stops", "--check", "passes", "--format", "html,json")
    audit = record()
    assert (code, audit["complete"]) == (2, False)
    assert "interrupted" in out
    assert Path("reports/net/report.html").exists()


def test_x_ends_at_the_first_failure(auditor, tiny):
    auditor(*tiny, "-k", "fails or breaks", "-x", "--format", "json")
    assert len(record()["results"]) == 1
    auditor(*tiny, "-k", "fails or breaks", "--maxfail", "2", "--format", "json")
    assert len(record()["results"]) == 2


@pytest.mark.parametrize(("check", "level", "code"), [("warns", "fail", 1), ("fails", "warn", 0), ("fails", "info", 0)])
def test_a_level_of_the_configuration_takes_the_place_of_a_verdict(auditor, tiny, here, check, level, code):
    (here / "auditor.toml").write_text(f"{SMALL}[levels]\n'{check}.ends' = '{level}'\n")
    assert auditor(*tiny, "--check", check, "--format", "json")[0] == code
    (finding,) = record()["results"][0]["evidence"]
    assert finding["verdict"] == level


def test_an_argument_reaches_the_architecture(auditor, here):
    networks.save(networks.Tiny(width=5), here / "net.pt")
    flags = ["--arch", "tiny.py:Tiny", "--arch-arg", "width=5", "--check", "checkpoint", "--format", "json"]
    assert auditor("net.pt", *flags)[0] == 0
    assert record()["provenance"]["settings"]["arch_args"] == {"width": 5}


def test_quiet_shows_what_is_wrong_and_the_last_line(auditor, tiny):
    _, out, _ = auditor(*tiny, "-k", "passes or warns", "-q", "--format", "json")
    assert [line.split()[0] for line in out.splitlines()] == ["WARN", "verdict:"]


def test_a_failure_names_the_command_that_runs_its_check_again(auditor, tiny):
    _, out, _ = auditor(*tiny, "-k", "fails or passes", "-x", "--seed", "3", "--out", "my reports", "--format", "json")
    again = re.search(r"again: auditor run (.*)", out)[1]
    assert shlex.split(again) == [*tiny, "--seed", "3", "--out", "my reports", "--check", "fails"]
    code, out, _ = auditor(*shlex.split(again))
    assert code == 1
    assert "see:   my reports/report.html#fails.ends" in out
    assert ' id="fails.ends"' in Path("my reports/report.html").read_text()


def test_the_report_that_is_replaced_is_kept_once(auditor, tiny, here):
    asked = [*tiny, "--check", "passes", "--format", "json"]
    for seed in "123":
        _, out, _ = auditor(*asked, "--seed", seed)
    assert "replaced    reports/net~1\n" in out
    assert [record(folder)["provenance"]["seed"] for folder in ("reports/net", "reports/net~1")] == [3, 2]
    auditor(*asked, "--seed", "4", "--overwrite")
    assert record("reports/net~1")["provenance"]["seed"] == 2
    (here / "reports/net~1/mine.txt").write_text("mine")
    auditor(*asked, "--seed", "5")
    assert record("reports/net~2")["provenance"]["seed"] == 4
    assert sorted(path.name for path in (here / "reports").iterdir()) == ["net", "net~1", "net~2"]


def test_verbose_shows_every_finding(auditor, tiny):
    assert "passes.ends" not in auditor(*tiny, "--check", "passes", "--format", "json")[1]
    assert "passes.ends" in auditor(*tiny, "--check", "passes", "--format", "json", "-v")[1]


def test_durations_lists_the_slowest(auditor, tiny):
    _, out, _ = auditor(*tiny, "-k", "passes or warns", "--durations", "1", "--format", "json")
    assert len(re.findall(r"^ +\d+\.\d\d s  \w+$", out, re.MULTILINE)) == 1


@pytest.mark.parametrize("extra", [{}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_shows_no_escape_codes_where_there_is_no_terminal(tiny, here, extra):
    command = [sys.executable, "-m", "auditor", "run", *tiny, "--check", "passes", "--format", "json"]
    ended = subprocess.run(command, cwd=here, env={**os.environ, **extra}, capture_output=True, check=True)
    assert b"\x1b[3" not in ended.stdout + ended.stderr
    assert b"\x1b[9" not in ended.stdout + ended.stderr


def test_names_where_the_files_lie(auditor, tiny):
    _, out, _ = auditor(*tiny, "--check", "passes", "--format", "html,json", "--out", "there")
    assert str(Path("there/report.html")) in out


class Hostile:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def refused(auditor, *arguments):
    code, out, err = auditor(*arguments)
    assert (code, out) == (4, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not Path("reports").exists()
    return err


def test_refuses_a_checkpoint_that_is_text(auditor, here):
    (here / "net.pt").write_text("these are no weights")
    assert "net.pt" in refused(auditor, "net.pt")


def test_refuses_a_checkpoint_that_is_cut_off(auditor, tiny, here):
    whole = (here / "net.pt").read_bytes()
    (here / "net.pt").write_bytes(whole[: len(whole) // 2])
    assert "net.pt" in refused(auditor, *tiny)


def test_refuses_a_hostile_pickle_and_runs_none_of_it(auditor, here):
    (here / "net.pt").write_bytes(pickle.dumps({"state_dict": Hostile()}))
    message = refused(auditor, "net.pt")
    assert "system" in message
    assert "--trust-checkpoint" in message
    assert not (here / "pwned").exists()


def test_refuses_an_architecture_that_nobody_knows(auditor, tiny):
    assert "resnet18" in refused(auditor, tiny[0], "--arch", "resnet81")


def test_refuses_a_folder_without_images(auditor, tiny, here):
    (here / "empty").mkdir()
    assert "empty" in refused(auditor, *tiny, "--data", "empty")


def test_refuses_a_data_folder_that_is_not_there(auditor, tiny):
    assert "photso" in refused(auditor, *tiny, "--data", "photso")


def test_refuses_templates_that_are_not_there(auditor, tiny):
    assert "--templates is 'look', which is not a folder" in refused(auditor, *tiny, "--templates", "look")


def test_refuses_a_folder_that_holds_no_template(auditor, tiny, here):
    (here / "look").mkdir()
    (here / "look" / "reprot.html").write_text("mine")
    message = refused(auditor, *tiny, "--templates", "look")
    assert "'look' has no template that replaces a built-in one: brief.html, evidence.html" in message


def test_writes_a_summary_for_who_decides_if_asked_to(auditor, tiny, here):
    asked = (*tiny, "--check", "passes", "--format", "json")
    auditor(*asked, "--pdf-summary")
    assert {path.name for path in Path("reports/net").iterdir()} == {"audit.json", "summary.pdf"}
    (here / "auditor.toml").write_text(f"pdf-summary = true\n{SMALL}")
    auditor(*asked, "--out", "set")
    assert (here / "set" / "summary.pdf").exists()
    auditor(*asked, "--out", "unset", "--no-pdf-summary")
    assert not (here / "unset" / "summary.pdf").exists()
    assert main(["render", "unset", "--format", "json", "--pdf-summary"]) == 0
    assert (here / "unset" / "summary.pdf").exists()


def test_a_report_made_again_has_the_same_letterhead(auditor, tiny, here):
    Image.linear_gradient("L").save("logo.png")
    own = 'title = "Line <3>"\nlogo = "logo.png"\nfooter = "Acme"\nconfidential = "For Acme only"'
    (here / "auditor.toml").write_text(f"{SMALL}[report]\n{own}\n")
    auditor(*tiny, "--check", "passes", "--format", "html")
    page = Path("reports/net/report.html").read_text()
    told = record()["provenance"]["settings"]["report"]
    assert {**told, "logo": ""} == {"title": "Line <3>", "logo": "", "footer": "Acme", "confidential": "For Acme only"}
    for shown in ("<h1>Line &lt;3&gt;</h1>", f'src="{told["logo"]}"', "Acme · ", "For Acme only</p>", "net.pt: "):
        assert shown in page
    (here / "auditor.toml").unlink()
    assert main(["render", "reports/net", "--format", "html"]) == 0
    assert Path("reports/net/report.html").read_text() == page


def test_refuses_a_letterhead_that_can_not_be_shown(auditor, tiny, here):
    (here / "auditor.toml").write_text(f'{SMALL}[report]\nfoter = "Acme"\n')
    assert "no key of [report] is called 'foter'; did you mean 'footer'?" in refused(auditor, *tiny)


def test_fails_where_the_folders_do_not_fit_the_network_s_classes(auditor, tiny, photos, here):
    (here / "names.txt").write_text("bee\nant\nelk\nhen\n")
    code, out, _ = auditor(*tiny, "--data", photos, "--classes", "names.txt", "--check", "data", "--format", "json")
    assert code == 1
    assert "data.classes" in out
    assert "cat" in out
    assert "bee" in out


def test_inspects_the_layers(tiny, capsys):
    assert main(["inspect", *tiny]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["features.0", "Conv2d", "8", "x", "30", "x", "30", "608", "5", "x", "5"] in rows
    assert ["head", "Linear", "4", "36"] in rows
    assert "preprocessing resize 64, crop 64 64, mean 0.5 0.5 0.5" in "\n".join(" ".join(row) for row in rows)


def test_renders_a_report_again_without_torch(auditor, tiny):
    auditor(*tiny, "--check", "passes", "--format", "json")
    script = (
        "import sys; from auditor.cli.commands import main; "
        "code = main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, "render", "reports/net", "--format", "html"]
    assert subprocess.run(command, check=False).returncode == 0
    assert "Is it what passes?" in Path("reports/net/report.html").read_text()


@pytest.mark.slow
def test_the_demo_needs_no_argument_and_says_where_its_report_lies(here, capsys):
    assert main(["demo", "--check", "data", "--format", "html,json"]) == 0
    assert "reports/demo/report.html" in capsys.readouterr().out
    assert record("reports/demo")["provenance"]["data"]["images"] >= 40


INTERRUPTED = """
from auditor import hookimpl

calls = []


@hookimpl
def auditor_formats():
    return {"slow": slow}


def slow(audit, folder):
    calls.append(1)
    raise KeyboardInterrupt
"""


def test_ctrl_c_while_the_report_is_written_keeps_the_audit(auditor, tiny, here):
    (here / "impatient.py").write_text(INTERRUPTED)
    code, out, _ = auditor(*tiny, "--check", "passes", "-p", "impatient", "--format", "junit,slow", "--out", "kept")
    assert code == 2
    assert "interrupted" in out
    kept = json.loads((here / "kept" / "audit.json").read_text())
    assert (kept["verdict"], kept["complete"], kept["exit_code"]) == ("pass", False, 2)
    assert (here / "kept" / "junit.xml").exists()


def test_a_reader_that_leaves_changes_neither_the_report_nor_the_exit_code(tiny, here):
    asked = [sys.executable, "-m", "auditor", "run", *tiny, "--check", "fails", "--format", "json", "--out", "piped"]
    with subprocess.Popen(asked, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdout.close()
        complaints = run.stderr.read().decode()
    assert run.returncode == 1
    assert complaints == ""
    assert json.loads((here / "piped" / "audit.json").read_text())["verdict"] == "fail"


def test_a_network_without_convolutions_is_audited(auditor, here, photos):
    (here / "flat.py").write_text(
        "from torch import nn\n\n\ndef flat():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 8), nn.ReLU(), nn.Linear(8, 4))\n"
    )
    scope = {}
    exec((here / "flat.py").read_text(), scope)  # noqa: S102 - the text above
    torch.save(scope["flat"]().state_dict(), "flat.pt")
    built_in = "checkpoint or data or preprocess or predictions or weights or filters or activations or saliency"
    auditor("flat.pt", "--arch", "flat.py:flat", "--data", photos, "-k", built_in, "--format", "json", "--out", "flat")
    found = {r["check"]: r["verdict"] for r in json.loads((here / "flat" / "audit.json").read_text())["results"]}
    assert (found["filters"], found["activations"]) == ("warn", "pass")  # its linear layers were never trained
    assert len(found) == 8
    assert "error" not in found.values()


def test_names_what_of_the_file_belongs_to_a_loss(auditor, here, photos):
    state = {f"model.{name}": tensor for name, tensor in resnet().state_dict().items()}
    torch.save({"state_dict": state | {"criterion.weight": torch.ones(4)}}, "trained.ckpt")
    auditor("trained.ckpt", "--data", photos, "--check", "checkpoint", "--format", "json", "--out", "loss")
    (result,) = json.loads((here / "loss" / "audit.json").read_text())["results"]
    left = [f for f in result["evidence"] if f.get("rule") == "checkpoint.unexpected" and f["verdict"] == "info"]
    assert [f["detail"] for f in left] == ["criterion.weight"]


@pytest.fixture
def step(here, monkeypatch):
    """Run as a step of GitHub Actions, and return the file for its summary."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "step.md"))
    return here / "step.md"


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_step_of_github_actions_is_told_what_was_found(auditor, tiny, here, step, quiet):
    code, out, err = auditor(*tiny, "-k", "warns or fails", "--format", "json,summary", *quiet)
    lines = out.splitlines()
    assert (code, err) == (1, "")
    assert lines[0].startswith("::stop-commands::")
    assert lines[-3:] == [
        f"::{lines[0].removeprefix('::stop-commands::')}::",
        "::error title=fails.ends::The fails ends.",
        "::warning title=warns.ends::The warns ends.",
    ]
    assert step.read_text() == (here / "reports/net/summary.md").read_text()


def test_a_step_is_told_why_there_is_no_report(auditor, step):
    code, out, err = auditor("none.pt", "--data", "50%")
    assert code == 4
    last = out.splitlines()[-1]
    assert last.startswith("::error title=auditor::data 50%25 does not exist")
    assert err == f"error: {last.removeprefix('::error title=auditor::').replace('%25', '%')}\n"


def test_a_summary_that_github_can_not_have_costs_neither_the_report_nor_the_verdict(auditor, tiny, step, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step.parent / "nowhere" / "step.md"))
    code, out, err = auditor(*tiny, "--check", "passes", "--format", "json")
    assert code == 0
    assert err.startswith("warning: can't append the summary to ")
    assert err.count("\n") == 1
    assert out.splitlines()[-1].startswith("::warning title=auditor::can't append")
    assert record()["verdict"] == "pass"


def test_a_step_is_told_what_was_found_also_where_a_format_breaks(auditor, tiny, here, step):
    (here / "torn.py").write_text(INTERRUPTED.replace("KeyboardInterrupt", 'RuntimeError("no ink")'))
    code, out, err = auditor(*tiny, "--check", "fails", "-p", "torn", "--format", "json,slow")
    assert code == 4
    assert "error: the report format 'slow' broke" in err
    assert out.splitlines()[-2:] == [
        "::error title=fails.ends::The fails ends.",
        "::error title=auditor::the report format 'slow' broke: RuntimeError: no ink",
    ]
    assert step.read_text().startswith("## ❌ Fail: net.pt")


def test_writes_sarif_with_the_rules_of_the_checks_and_no_path(auditor, tiny, here):
    auditor(*tiny, "-k", "warns or breaks or checkpoint", "--format", "sarif")
    text = (here / "reports/net/report.sarif").read_text()
    (run,) = json.loads(text)["runs"]
    rules = {rule["id"]: rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]}
    assert {"warns.ends", "breaks.error", "checkpoint.missing"} <= rules.keys()
    assert rules["warns.ends"] == "always."
    assert [result["ruleId"] for result in run["results"]] == ["breaks.error", "warns.ends"]
    assert str(here) not in text
    text = (here / "reports/net/report.sarif").read_bytes()
    assert main(["render", "reports/net", "--format", "sarif,summary"]) == 0
    assert (here / "reports/net/report.sarif").read_bytes() == text
    assert (here / "reports/net/summary.md").exists()


SLOW = """
import time
from auditor import Check, Finding, Verdict


@Check
def dawdles(context):
    '''Does it take long?'''
    yield Finding("dawdles.before", Verdict.PASS, "kept")
    while True:
        time.sleep(0.01)
"""


def in_the_background():
    """Ignore what a shell lets its background jobs ignore."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("ignoring", [None, in_the_background])
def test_the_time_of_within_stops_the_audit_and_nothing_is_green(auditor, tiny, here, ignoring):
    (here / "auditfile.py").write_text(VERDICTS + SLOW)
    flags = [
        "--check",
        "passes",
        "--check",
        "dawdles",
        "--check",
        "warns",
        "--within",
        "3s",
        "--format",
        "json,summary",
    ]
    command = [sys.executable, "-m", "auditor", "run", *tiny, *flags]
    piped = {"capture_output": True, "text": True, "check": False}
    ended = subprocess.run(command, cwd=here, timeout=90, preexec_fn=ignoring, **piped)
    assert ended.returncode == 2, ended.stderr
    assert "warning: the time of --within was used up" in ended.stderr
    told = record()
    assert (told["complete"], told["exit_code"]) == (False, 2)
    found = {f["rule"]: (f["verdict"], f["message"]) for r in told["results"] for f in r["evidence"]}
    assert found["dawdles.interrupted"] == ("warn", "stopped: the time of --within was used up")
    assert found["dawdles.before"] == ("pass", "kept")
    assert any("--within (3 s) was used up" in note for note in told["provenance"]["notes"])
    assert {r["check"] for r in told["results"]} | set(told.get("not_run", ())) == {"passes", "dawdles", "warns"}
