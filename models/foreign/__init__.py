"""Models that others have trained: any text classifier in the format of Hugging Face, as a scorer of this house.

Importing the package loads no torch; `models.foreign.scorer` does.
"""
