"""Inputs that maximise a score, and triggers that change predictions."""
