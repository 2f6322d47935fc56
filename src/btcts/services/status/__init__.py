"""`status`: check that prices are fresh and complete, and report on their store."""
