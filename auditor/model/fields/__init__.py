"""Receptive fields, traced operator by operator."""
