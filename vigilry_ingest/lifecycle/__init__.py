"""How long events are kept, and how they are erased, wherever they are."""
