"""Which pixels support the prediction?"""
