"""`verify`: compare stored data with the ticks and with the providers."""
