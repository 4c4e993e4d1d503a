"""The built-in checks, one file each: the generator first, its judging below."""

# Whether the file, the data and their preparation can be trusted comes before what rests on them.
# A check that is not named here comes after these.
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
