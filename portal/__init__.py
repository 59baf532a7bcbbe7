"""Web pages over what the ledger and the chain say: a view, never the truth."""
