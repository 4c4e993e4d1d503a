"""What several checks judge by: rules, limits with intervals, defective channels, well-formed evidence."""
