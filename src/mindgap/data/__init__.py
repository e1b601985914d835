"""Chapter `data`: which pairs do we look at?"""
