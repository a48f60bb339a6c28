"""The bench handler written with what others would take: each does the same job per message.

Inbox row (`on conflict do nothing`), one business row, commit, one outgoing event that the broker confirms, ack.
Settings come from the environment: AMQP_URI, DATABASE_URI, QUEUE, and SETTING, the number that is swept.
OUTBOX=1 adds what promise 2 takes: the outgoing event's row, with its sequence, in the same transaction.
"""
