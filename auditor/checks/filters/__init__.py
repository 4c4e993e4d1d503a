"""What do the filters look like, and which are dead, duplicated or untrained?"""
