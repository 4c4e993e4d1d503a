"""From a file to a frozen network, its layers and its preprocessing."""
