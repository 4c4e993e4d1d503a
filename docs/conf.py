"""The documentation site. `make docs` builds it into docs/_build/html, without a network."""

import sys
from pathlib import Path

from auditor import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "auditor"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "docstrings",
    "public_names",
    "layers",
    "rule_pages",
    "configuration",
]
exclude_patterns = ["_build", "_ext"]
nitpicky = True

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # docstrings write `name` for code
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
viewcode_line_numbers = True

html_theme = "furo"
html_title = f"auditor {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
