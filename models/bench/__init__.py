"""What `python -m models.benchmark` measures beside a model folder: networks of a given shape, with random weights."""
