"""What the methods that explain an answer are called, in pictures, findings and tables."""

from __future__ import annotations

from typing import Final

GRADIENT: Final = "gradient"
DECONVNET: Final = "deconvnet"
GUIDED_BACKPROP: Final = "guided backprop"
GRAD_CAM: Final = "Grad-CAM"
GUIDED_GRAD_CAM: Final = "guided Grad-CAM"
OCCLUSION: Final = "occlusion"

HEEDLESS: Final = (DECONVNET, GUIDED_BACKPROP, GUIDED_GRAD_CAM)
"""Those that are known for hardly depending on the last layers, of any network.

J. Adebayo et al.: Sanity Checks for Saliency Maps. NeurIPS 2018. W. Nie, Y. Zhang, A. Patel: A Theoretical
Explanation for Perplexing Behaviors of Backpropagation-based Visualizations. ICML 2018 (deconvnet).
"""
