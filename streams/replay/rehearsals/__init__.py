"""History played into topics of its own."""
