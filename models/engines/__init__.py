"""Backends behind one interface: rows of token ids in, logits and pooled vectors out.

Importing the package loads no backend; `models.engines.base` says what each of them is.
"""
