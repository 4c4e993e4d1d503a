"""Scores under a moving window, exact and incremental."""
