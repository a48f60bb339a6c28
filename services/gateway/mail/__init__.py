"""The mail door (T1): a mailbox is read, and each mail becomes a request, a comment, or a row that says why neither."""
