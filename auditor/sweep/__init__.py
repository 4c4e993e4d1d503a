"""The one pass over the data: shared between processes, and saved so that it can be resumed."""
