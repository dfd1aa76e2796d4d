"""The loop: labels in, a model trained, judged, promoted or refused; by hand or by schedule.

lock       two runs never work at once; what a killed one left is swept away
due        whether there is a reason to train
steps      what one run does, step by step
schedule   when the next one is
"""
