"""From readings to what is drawn: pure functions, so that no breach is lost on the way."""
