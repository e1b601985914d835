"""Encoders by the model type of their checkpoint: one adapter a family, all of one protocol."""
