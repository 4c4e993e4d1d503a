"""Is the preprocessing the one of training?"""
