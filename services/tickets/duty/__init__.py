"""Who does it (T3, T13): the duty roster, assignment with reasons, and the queues that wait. Pure."""
