"""Are the images prepared as they were in training?"""
