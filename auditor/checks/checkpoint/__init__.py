"""Does the checkpoint fill the whole network?"""
