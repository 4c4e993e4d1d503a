"""Which filters are dead, duplicated or untrained?"""
