"""The public contract: schemas, specs and problem types."""
