"""The court deposit: outside stamps, the printed report, and what the chain says of access."""
