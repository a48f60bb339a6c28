"""Requests and comments that came by mail: who wrote, by the address of their record (T1)."""
