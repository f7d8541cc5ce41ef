"""Batches: runs from many starts at once."""
