"""Labels: from what people said of messages to what a model learns from.

judgement   one person's word on one message, with its text; what is kept
verdicts    what each verdict of the desk means for a label
store       the judgements that are known, in a folder
files       judgements from CSV and JSON lines; label_studio: its tasks and its export
live        judgements from squall.labels, with the texts from squall.mentions
decide      one label per message, from what several people said; agreement
suspects    labels that are likely wrong (cleanlab)
choose      what to label next
"""
