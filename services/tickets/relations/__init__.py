"""What binds tickets together: links, merging, watchers, and doing one thing to many."""
