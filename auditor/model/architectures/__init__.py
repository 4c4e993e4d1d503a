"""Which network a checkpoint belongs to, and how it is built and filled."""
