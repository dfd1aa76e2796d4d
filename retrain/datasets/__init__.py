"""Data sets: which rows a model is trained on and which are kept for judging it, so that both can be had again.

rows       a labelled row with all that it can be sliced by
assign     which side a row is on; sides once given are kept
ledger     the sides that were given, in a file
snapshot   rows and recipe in a folder that is named by its content
"""
