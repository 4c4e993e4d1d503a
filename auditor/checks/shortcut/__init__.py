"""Does the network rely on a spurious cue?"""
