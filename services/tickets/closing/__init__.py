"""The end of a ticket (T5): the requester confirms or refuses a solution, rates it, or says nothing."""
