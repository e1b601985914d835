"""Chapter `cone`: where does the gap come from at initialisation?"""
