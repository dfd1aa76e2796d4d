"""Measurements: what is claimed is written down with the command that measures it."""
