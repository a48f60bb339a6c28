"""Files on tickets: what they are called, whose they are and who may see them; the bytes lie with the gateway (S6)."""
