"""Chapter `embed`: what do the encoders make of the pairs?"""
