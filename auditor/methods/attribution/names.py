"""The names of the attribution methods in pictures, findings and tables."""

from __future__ import annotations

from typing import Final

from auditor.language import _, marked

GRADIENT: Final = marked("gradient")
DECONVNET: Final = marked("deconvnet")
GUIDED_BACKPROP: Final = marked("guided backprop")
GRAD_CAM: Final = "Grad-CAM"
GUIDED_GRAD_CAM: Final = marked("guided Grad-CAM")
OCCLUSION: Final = marked("occlusion")

_ALL: Final = (GRADIENT, DECONVNET, GUIDED_BACKPROP, GRAD_CAM, GUIDED_GRAD_CAM, OCCLUSION)

IGNORE_LAST_LAYERS: Final = (DECONVNET, GUIDED_BACKPROP, GUIDED_GRAD_CAM)
"""Methods whose maps are known to hardly depend on the last layers of any network.

J. Adebayo et al.: Sanity Checks for Saliency Maps. NeurIPS 2018. W. Nie, Y. Zhang, A. Patel: A Theoretical
Explanation for Perplexing Behaviors of Backpropagation-based Visualizations. ICML 2018 (deconvnet).
"""


def method_name(name: str) -> str:
    """Return the name of a method in the current language. Any other text is returned unchanged.

    Findings keep the English name as their subject, so that audits in two languages can be compared.
    """
    return _(name) if name in _ALL else name
