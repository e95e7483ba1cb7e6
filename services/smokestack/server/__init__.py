"""The composition root: rooms become a stack, in one process or in many."""
