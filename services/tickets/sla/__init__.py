"""Service levels: which targets a ticket has, the clocks that measure them, and why each is due when it is."""
