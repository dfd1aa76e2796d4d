"""The model under watch: whether the texts, its answers and the desk's verdicts are still as they were when it learned.

The room only looks. It is given what was scored after that has been delivered, it holds no message up, and nothing of it
reaches a mention. `deploy/docs/MODEL_WATCH.md` says what each figure means and what to do when one rises.
"""
