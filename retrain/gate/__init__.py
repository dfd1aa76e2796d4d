"""The gate between a trained model and the desk: champion against challenger, on data and on alerts.

bounds     what a challenger may and must do
figures    differences with paired bootstrap intervals, over all rows and by slice. Pure.
robust     whether answers stay when a text is changed in ways that leave its meaning
alerts     which alerts either model raises on a stretch of history
judge      the checks, one by one. Pure.
verdict    the written verdict, for people and for machines
run        asks both models and puts it together
"""
