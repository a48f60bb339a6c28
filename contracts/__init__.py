"""The events of Liaison: one module per emitting service, one frozen class per type."""
