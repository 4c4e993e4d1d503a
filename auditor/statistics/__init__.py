"""Tests, intervals and estimates. Nothing here knows of networks."""
