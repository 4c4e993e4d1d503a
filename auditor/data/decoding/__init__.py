"""Readers of image files, one for each family of formats."""
