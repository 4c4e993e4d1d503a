"""Whether attribution maps depend on the network, and whether they are faithful to it."""
