"""What several checks judge by: limits with intervals, channels, well-formed evidence."""
