"""How fast Liaison is, beside peers that do the same guaranteed job on the same servers in the same run: `make bench`.

Every contender reads valid CloudEvents from a quorum queue, writes an inbox row (`on conflict do nothing`) and one
business row, has one outgoing CloudEvent confirmed by the broker, and acks after its commit. Ours and the bare loop
write the outgoing event in that same transaction, with its sequence; nameko and FastStream are measured without, as
they would be used, and once with it, for the record. Each peer counts at the best setting of its sweep. Servers run
with their durable defaults. `details` in the JSON has every round and what each part used of the processor, which
other work on the machine distorts far less than it does the clock.
"""
