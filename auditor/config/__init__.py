"""Settings: from flags and files to one checked value."""
