"""The words that all sides share, as frozen records with canonical bytes. No input, no output."""
