"""Levels of support (T4): key user, specialist, technical team, vendor; how a ticket climbs them, and who held it."""
