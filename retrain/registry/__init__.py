"""Which models there are and which one is champion: MLflow keeps them, and every step is written down.

mlflow_registry   runs, models, aliases
audit             who did what and when, line by line
promotion         the champion changes: alias, workers, audit log; and back
difference        what two models differ in
"""
