"""Can the attribution maps be trusted?"""
