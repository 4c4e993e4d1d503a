"""How often is the network right, and is its confidence calibrated?"""
