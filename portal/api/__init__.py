"""What programs ask of the portal and tell it, with tokens."""
