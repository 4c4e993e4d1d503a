"""Can the images and their labels be used?"""
