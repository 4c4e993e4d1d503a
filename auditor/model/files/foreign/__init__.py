"""Files and folders that are no checkpoint of PyTorch: what each is, and what leads from there to an audit."""
