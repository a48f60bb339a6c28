"""Business time (T7): calendars from files, when a target is due in their open time, and why. Pure."""
