"""Pages: a snapshot of the small tables of finished runs, and templates filled from it."""
