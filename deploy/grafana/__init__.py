"""Grafana: dashboards as code, the files that they make, and what provisioning needs."""
