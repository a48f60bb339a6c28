"""Tickets: the life of a request for help, its SLA clocks and who holds it.

Owns tickets, their history, clocks and comments, feedback (T9), and what it needs to know of people. Handles
`ticket.requested`, `ticket.update_requested`, `feedback.submitted` and `person.changed`; emits `ticket.*`, `sla.*` and
`feedback.*`; answers the gateway's calls.
"""
