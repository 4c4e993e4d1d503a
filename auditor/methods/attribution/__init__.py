"""Gradients, rectifier rules and class activation maps."""
