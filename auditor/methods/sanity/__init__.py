"""Sanity checks of attribution maps: randomization and faithfulness."""
