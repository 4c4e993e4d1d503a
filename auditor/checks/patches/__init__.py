"""Which patches of the data excite each channel most?"""
