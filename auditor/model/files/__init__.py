"""Reading a checkpoint: its format, its tensors, its metadata, and which of its code may run."""
