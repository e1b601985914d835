"""Chapter `gap`: how large is the gap, by which measure?"""
