"""`verify`: what is stored, compared with the ticks and with the providers."""
