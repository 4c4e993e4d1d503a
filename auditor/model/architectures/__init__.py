"""The architecture of a checkpoint: how it is found, built and filled."""
