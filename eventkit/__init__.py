"""How events cross a border: the only code that speaks AMQP.

What a service uses is re-exported here lazily by name from the modules below; see ARCHITECTURE.md, "eventkit on one page".
"""
