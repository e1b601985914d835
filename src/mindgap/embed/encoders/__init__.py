"""Encoders by the model type of their checkpoint: one adapter per family, one protocol."""
