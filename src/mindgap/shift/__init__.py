"""Chapter `shift`: why does the loss keep the gap?"""
