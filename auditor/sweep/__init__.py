"""The one pass over the data: shared between processes, kept so that it can be resumed."""
