"""The explorer: one page in which a reader moves the gap and sees what follows."""
