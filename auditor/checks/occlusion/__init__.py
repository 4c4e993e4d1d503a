"""Which parts of an image does the prediction need?"""
