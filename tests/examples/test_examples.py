"""The examples of a training with an audit behind it, and of pipelines: run as far as that goes without them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

from auditor import plugins
from auditor.cli.commands import program
from auditor.config import file as configfile
from auditor.config import settings as config
from tests import folders, networks

EXAMPLES = Path(__file__).parents[2] / "examples"
ACTION = yaml.safe_load((EXAMPLES / "ci" / "github" / "action.yml").read_text())
WORKFLOW = yaml.safe_load((EXAMPLES / "ci" / "github" / "workflow.yml").read_text())
GITLAB = yaml.safe_load((EXAMPLES / "ci" / "gitlab-ci.yml").read_text())


def environment(**more):
    """Return what a step sees: our programs first in the path, and no workflow but what is given."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


def step(name):
    (found,) = [step for step in ACTION["runs"]["steps"] if step.get("name") == name]
    return found


def scripts():
    """Return every script that a runner would give to a shell."""
    steps = [*ACTION["runs"]["steps"], *WORKFLOW["jobs"]["audit"]["steps"]]
    lines = [
        line for job in ("train", "audit") for line in GITLAB[job].get("before_script", []) + GITLAB[job]["script"]
    ]
    return [step["run"] for step in steps if "run" in step] + lines


@pytest.fixture
def here(tmp_path):
    """Lay out a checkpoint and photographs under names that a careless script would trip over."""
    networks.write(tmp_path / "net.py", networks.OneConvolution)
    networks.save(networks.build(networks.OneConvolution), tmp_path / "my net.pt")
    folders.noise(tmp_path / "my photos", "abcd", 2, (16, 16), most=256)
    (tmp_path / "auditor.toml").write_text(
        "arch = 'net.py:Net'\nsamples = 1\n[preprocess]\nresize = 16\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"
    )
    return tmp_path


@pytest.fixture
def audit_step(here):
    """Run the step of the action that audits, as a runner does, and return it with what it put out."""

    def run(arguments, checkpoint="my net.pt"):
        script, output = here / "step.sh", here / "output"
        script.write_text(step("Audit")["run"])
        output.write_text("")
        given = {
            "CHECKPOINT": checkpoint,
            "DATA": "my photos",
            "ARGS": arguments,
            "REPORT": str(here / "temp" / "audit"),
        }
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=here,
            env=environment(**given, GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output)),
            capture_output=True,
            text=True,
            check=False,
        )
        return ended, dict(line.split("=", 1) for line in output.read_text().splitlines())

    return run


@pytest.mark.slow
def test_the_action_audits_and_hands_on_the_report(audit_step, here):
    ended, output = audit_step('--check weights --check data --seed "1" --no-cache')
    assert output == {"exit-code": str(ended.returncode), "report": str(here / "temp" / "audit")}, ended.stderr
    assert ended.returncode in (0, 1)
    assert {"report.html", "junit.xml", "summary.md", "report.sarif"} <= {
        path.name for path in Path(output["report"]).iterdir()
    }


@pytest.mark.slow
def test_the_action_fails_without_a_report_where_nothing_can_be_read(audit_step):
    ended, output = audit_step("", checkpoint="none.pt")
    assert (ended.returncode, output) == (4, {"exit-code": "4"})


def test_nothing_that_is_given_to_the_action_is_run(audit_step, here):
    ended, _ = audit_step("; touch pwned", checkpoint="$(touch pwned)`touch pwned`")
    assert ended.returncode == 4
    ended, _ = audit_step("$(touch pwned) `touch pwned`")
    assert ended.returncode == 4
    assert not (here / "pwned").exists()


def test_no_script_has_an_input_pasted_into_it():
    assert [script for script in scripts() if "${{" in script] == []


def test_actions_of_others_are_pinned_by_commit_and_name_their_version():
    pages = [*(EXAMPLES / "ci" / "github").glob("*.yml"), EXAMPLES.parent / "docs" / "guide" / "pipeline.md"]
    used = [line for page in pages for line in re.findall(r"(?m)^\s*-? ?uses: (?!\./|OWNER)(.*)", page.read_text())]
    assert len(used) == 6
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_the_action_installs_the_auditor_that_it_lies_in():
    folder = re.search(r"\$GITHUB_ACTION_PATH([/.]+)", step("Install auditor")["run"])[1]
    pyproject = EXAMPLES / "ci" / "github" / folder.strip("/") / "pyproject.toml"
    assert 'name = "auditor"' in pyproject.read_text()


def test_the_workflow_gives_the_action_what_it_takes():
    (used,) = [step for step in WORKFLOW["jobs"]["audit"]["steps"] if step.get("uses") == "./examples/ci/github"]
    required = {name for name, entry in ACTION["inputs"].items() if entry.get("required")}
    assert required <= used["with"].keys() <= ACTION["inputs"].keys()
    understood(["run", "net.pt", *shlex.split(used["with"]["args"])])


def test_what_the_action_puts_out_is_what_its_step_says():
    said = set(re.findall(r'echo "([\w-]+)=', step("Audit")["run"]))
    assert {entry["value"].split(".")[-1].removesuffix(" }}") for entry in ACTION["outputs"].values()} == said


@pytest.mark.slow
def test_the_gitlab_job_audits_and_its_artifacts_are_there(here):
    job = GITLAB["audit"]
    given = {"CHECKPOINT": "my net.pt", "DATA": "my photos", "CONFIG": "auditor.toml"}
    assert given.keys() == job["variables"].keys()
    (line,) = job["script"]
    quick = f"{line} --check weights --no-cache"
    ended = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", quick], cwd=here, env=environment(**given), capture_output=True, check=False
    )
    assert ended.returncode in (0, 1), ended.stderr
    assert (here / job["artifacts"]["reports"]["junit"]).is_file()
    assert all((here / path).exists() for path in job["artifacts"]["paths"])


def commands():
    texts = [*scripts(), (EXAMPLES / "train_digits" / "Makefile").read_text(), *map(read, EXAMPLES.rglob("README.md"))]
    lines = [line for text in texts for line in re.findall(r"(?:\$\(AUDITOR\)|\bauditor) run [^|`\n]*", text)]
    assert len(lines) >= 4
    return lines


def read(path):
    return path.read_text()


@pytest.mark.parametrize("line", commands())
def test_every_command_is_one_that_auditor_knows(line):
    plain = re.sub(r"\$\(if [^,]*,([^)]*)\)", r"\1", line)  # what make puts there from the second time on
    plain = re.sub(r'\$\(ARGS\)|"\$\{flags\[@\]\}"', "", plain)
    words = shlex.split(plain)[1:]
    understood([word for word in words if "=$" not in word and word != "||"])


def understood(words):
    """Let the real command line read the words, and the settings be made of them."""
    name, command, rest = program.resolve_command(program.make_context("auditor", words, obj={}), words)
    given = command.make_context(name, rest, obj={}).params
    assert given["checkpoint"]
    table = {key: given[key] for key in ("format", "data", "baseline", "strict")}
    config.load(given["checkpoint"], table, checks=plugins.load().checks)


def test_the_settings_of_the_example_are_known():
    from auditor import comparison

    file = configfile.read(EXAMPLES / "train_digits" / "auditor.toml")
    settings = config.load(Path("net.pt"), {}, file=file, checks=plugins.load().checks, beside=comparison.DECLARED)
    assert settings.levels["baseline.findings"] == "fail"


@pytest.mark.slow
def test_the_training_is_audited_and_the_second_one_compared_with_the_first(tmp_path):
    project = shutil.copytree(EXAMPLES / "train_digits", tmp_path / "digits", ignore=shutil.ignore_patterns("build"))

    def make(*variables):
        quick = "--format json --no-cache -k 'not (synthesis or occlusion or saliency or trust or shortcut)'"
        command = ["make", *variables, f"ARGS={quick}"]
        return subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False)

    first = make()
    assert first.returncode == 0, first.stdout + first.stderr
    assert float(re.search(r"([\d.]+)% of the validation images right", first.stdout)[1]) >= 95
    assert len(list((project / "build" / "validation").glob("*/*.png"))) == 1000
    accepted = (project / "accepted.json").read_text()
    assert "baseline" not in [result["check"] for result in json.loads(accepted)["results"]]

    again = make("PYTHON=true")  # the same network once more
    assert again.returncode == 0, again.stdout + again.stderr
    accepted = (project / "accepted.json").read_text()
    compared = {result["check"]: result["verdict"] for result in json.loads(accepted)["results"]}
    assert compared["baseline"] in ("pass", "info")

    weights = load_file(project / "build" / "digits.safetensors")
    weights["head.weight"][3] = 0  # a worse one: it knows no three
    save_file(weights, project / "build" / "digits.safetensors")
    worse = make("PYTHON=true")
    assert worse.returncode == 2, worse.stdout
    assert "baseline.accuracy" in worse.stdout
    assert (project / "accepted.json").read_text() == accepted
