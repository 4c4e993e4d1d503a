"""The first screen of a report as a part of another page, such as a notebook: verdict, findings and checks."""

from __future__ import annotations

from auditor.language import speaking
from auditor.report import presented, templates
from auditor.report.album import Album
from auditor.report.blocks import PRINT
from auditor.report.page import page_of, without_pictures
from auditor.results import Audit

NAME = "first_screen.html"


def text(audit: Audit) -> str:
    """Return the screen in the language of the audit, without scripts; its style changes nothing else on the page."""
    with speaking(audit.provenance.language):
        page = page_of(without_pictures(presented(audit, redact=False)), PRINT, Album())
        return templates.render(NAME, page, (), style=templates.asset("first_screen.css", ()))
