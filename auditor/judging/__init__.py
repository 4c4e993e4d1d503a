"""Judging that several checks share: rules, limits with intervals, channels per layer, validation of evidence."""
