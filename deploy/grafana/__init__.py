"""Grafana: dashboards as code, what the code generates, and how Grafana is provisioned with it."""
