"""What does each layer respond to, and which channels are dead?"""
