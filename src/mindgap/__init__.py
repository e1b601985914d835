"""mindgap: measure, explain and change the modality gap of multi-modal models."""

__version__ = "0.1.0"
