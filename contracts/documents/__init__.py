"""What is generated from the events: a JSON Schema per type, the AsyncAPI document, and how releases may differ.

A tool of the build, which nothing at run time imports: `python -m contracts.documents write|check|release`.
"""
