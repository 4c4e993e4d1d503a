"""Occlusion: the scores of an image with a window filled, exact and incremental."""
