"""The built-in checks: a file each, or a package with `check.py`, `findings.py`, `figures.py` and `rules.py`."""

# The file, the data and the preprocessing come first, since all other checks depend on them.
# A check that is not named here comes last.
READING_ORDER = (
    "checkpoint",
    "data",
    "preprocess",
    "predictions",
    "weights",
    "filters",
    "activations",
    "patches",
    "saliency",
    "occlusion",
    "trust",
    "shortcut",
    "synthesis",
)
