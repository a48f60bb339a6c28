"""Tickets: the life of a request for help, its SLA clocks and who holds it.

Owns tickets, their history, clocks and comments, and what it needs to know of people. Handles `ticket.requested`,
`ticket.update_requested` and `person.changed`; emits `ticket.*` and `sla.*`; answers the gateway's calls.
"""
