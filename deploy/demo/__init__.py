"""The demonstration: invented companies, invented messages, planted incidents."""
