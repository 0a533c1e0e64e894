"""The pages, the descriptions, and what programs make of them."""
