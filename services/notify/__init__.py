"""Notify tells people what happened, once, on a channel that reaches them.

Owns deliveries (one message to one person about one event), what it needs to know of people to reach them, and which
alerts the desk was told of. Handles the events of tickets, training, feedback and alerts that its rule file names,
`answer.suggested`, whose content goes into messages that wait for it, and `person.changed`; emits
`notification.accepted` and `notification.failed`. Who is told of what is in `rules/notify.yaml`, the words are in
`templates/`.
"""
