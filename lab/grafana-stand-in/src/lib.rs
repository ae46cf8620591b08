//! STAND-IN for Grafana in the lab: health, provisioning, dashboards and datasources only.
