"""The catalogues of the languages that a report can be in, and the tool that keeps them up to date."""
