"""Inference on images that differ from one image in a window: only what the window can change is computed.

What a window changes is a rectangle of every map; all else is as for the clean image, whose maps are kept. From the
operator on whose output the rectangle nearly fills, or that has no rule for rectangles, everything is computed.

S. Nakandala, A. Kumar, Y. Papakonstantinou: Incremental and Approximate Inference for Faster Occlusion-based Deep CNN
Explanations. SIGMOD 2019.
"""
