"""How a run goes, and nothing that decides its results."""
