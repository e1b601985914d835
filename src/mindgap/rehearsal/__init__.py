"""A dress rehearsal: the whole graph of a run on small stand-ins for everything it downloads."""
