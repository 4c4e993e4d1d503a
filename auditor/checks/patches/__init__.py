"""Which patches of the data activate each channel most?"""
