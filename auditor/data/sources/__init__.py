"""Where the bytes of images come from: files, archives, tables, and addresses."""
