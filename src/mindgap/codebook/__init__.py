"""Does a discrete space shared by the modalities close the gap, and can we read it?"""
