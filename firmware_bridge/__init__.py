"""From device bytes to readings; from key holders to signatures."""
