"""Notify tells people what happened, once, on a channel that reaches them.

Owns deliveries (one message to one person about one event) and what it needs to know of people to reach them.
Handles the ticket and SLA events that its rule file names, and `person.changed`; emits `notification.accepted` and
`notification.failed`. Who is told of what is in `rules/notify.yaml`, the words are in `templates/`.
"""
