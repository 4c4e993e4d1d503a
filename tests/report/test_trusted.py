"""Code of the checkpoint that ran in the process of the audit is told before the verdict."""

import json
from dataclasses import replace

import pytest

from auditor.report import deciding, record, summary
from tests.report.sample_audits import audit, predictions
from tests.report.test_html import read


def checkpointed(**changes):
    made = audit(predictions())
    about = made.provenance
    return replace(made, provenance=replace(about, checkpoint=replace(about.checkpoint, **changes)))


TOLD = "With --trust-checkpoint the checkpoint was allowed to run code in the process of the audit."


@pytest.mark.parametrize("trusted", [True, False])
def test_the_cover_and_the_summary_tell_trust(trusted):
    made = checkpointed(trusted=trusted)
    assert (TOLD in " ".join(read(made).words)) is trusted
    assert ("was allowed to run code" in summary.text(made)) is trusted
    assert deciding.cautions(made) == ((TOLD,) if trusted else ())


def test_the_measures_of_the_sandbox_are_recorded_and_shown(tmp_path):
    made = checkpointed(sandbox=("Landlock ABI 7", "seccomp"))
    record.save(made, tmp_path)
    document = json.loads((tmp_path / "audit.json").read_text())
    assert document["provenance"]["checkpoint"]["sandbox"] == ["Landlock ABI 7", "seccomp"]
    assert record.read(tmp_path).provenance.checkpoint == made.provenance.checkpoint
    assert "Landlock ABI 7, seccomp" in " ".join(read(made).words)
