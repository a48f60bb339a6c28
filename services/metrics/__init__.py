"""Keeps every event, and the numbers that follow from them.

Owns the journal, the facts and the counters; handles every type of event; emits nothing. The page `/facts` shows
the numbers to Prometheus. `gauges.py` declares them, `rules.py` says what an event adds to them, `merges.py` what it
leaves in the facts, `readings.py` what the numbers are at one moment.
"""
