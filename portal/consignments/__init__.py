"""The manager's pages: consignments at risk first, and each with its evidence."""
