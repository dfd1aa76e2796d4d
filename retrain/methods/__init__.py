"""Ways to train that a run may add to plain fine-tuning; each is off unless a knob of the settings turns it on."""
