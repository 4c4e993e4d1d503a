"""What is read from a checkpoint: its format, its tensors, its metadata, and what of it may run."""
