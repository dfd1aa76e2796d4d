"""How Squall is run: the command line, the local broker, the demo."""
