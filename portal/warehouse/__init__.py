"""The warehouse's pages: gateways at a glance, sites and docks, alerts, what is expected."""
