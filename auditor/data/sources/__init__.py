"""Where the bytes of images come from: files, archives, tables, and addresses."""

from auditor.data.sources.inventory import Inventory
from auditor.data.sources.source import Source

__all__ = ["Inventory", "Source"]
