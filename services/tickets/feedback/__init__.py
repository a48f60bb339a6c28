"""The feedback area (T9): what people think of the desk, with one owner each."""
