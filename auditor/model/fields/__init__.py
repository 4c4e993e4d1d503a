"""Receptive fields, followed operator by operator."""
