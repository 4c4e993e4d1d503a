"""Images that a program gives: a loader of batches, or a data set of single images."""

from auditor.data.loaders.items import Items
from auditor.data.loaders.loaded import Loaded, loaded

__all__ = ["Items", "Loaded", "loaded"]
