"""The ledger: what was acknowledged under load and faults, against what stands on the streams.

It meets the product by HTTP and by its command line, and imports nothing of it.
"""
