"""What do temperature and initialisation do to the gap?"""
