"""Baselines learned from history, for the live monitor."""
