"""Incremental inference on images that differ from one image in a window: only what the window changes is computed.

A window changes a rectangle of each map. The rest of the map is taken from the clean image. Everything is computed from
the operator on whose output the rectangle nearly fills, or from the first operator without a rule for rectangles.

S. Nakandala, A. Kumar, Y. Papakonstantinou: Incremental and Approximate Inference for Faster Occlusion-based Deep CNN
Explanations. SIGMOD 2019.
"""
