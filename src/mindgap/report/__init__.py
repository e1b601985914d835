"""Chapter `report`: do the claims hold?"""
