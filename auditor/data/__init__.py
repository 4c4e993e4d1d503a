"""Image data: listing, labels, decoding, preprocessing, and batches."""
