"""Statistical tests, confidence intervals and estimates. Nothing in this package depends on a network."""
