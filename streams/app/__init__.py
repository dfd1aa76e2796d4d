"""The Faust app: topics, tables and agents, thin. It wires the rooms and decides nothing.

    scorer     squall.messages -> prepare -> score -> squall.mentions, squall.dead-letters
    monitor    squall.mentions -> PartitionMonitor -> squall.alerts, state to its table
    deliverer  squall.alerts -> terminal and receivers (a plain consumer for each, not an agent)

Faust loses messages in ways one would not expect, so every agent takes raw bytes, never raises, delivers before it
acknowledges, acknowledges in order, and ends the process if it cannot go on.
"""
