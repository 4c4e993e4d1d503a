"""The built-in checks, one file each: the generator first, its judging below."""
