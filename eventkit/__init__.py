"""How events cross a border: the only code that speaks AMQP.

ARCHITECTURE.md tells it on one page.
"""
