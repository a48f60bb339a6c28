"""The doors of Liaison: what other systems send comes in here, over AMQP or HTTP, and is accepted or refused.

Owns publishers, tokens, and the record of what was accepted and refused. Emits, in canonical form, what others ask
or report, and `event.refused`. Handles no event. Passes questions and commands of people on to the services.
"""
