"""The version of this package, and where its documentation of that version is published."""

__version__ = "0.1.0"

DOCUMENTATION = "https://auditor-docs.readthedocs.io/en/stable/"
