"""Images that a program gives: a loader of batches, or a data set of single images."""

from auditor.data.loaders.described import count_of
from auditor.data.loaders.loaded import Loaded, loaded

__all__ = ["Loaded", "count_of", "loaded"]
