"""The ledger: compares acknowledged events with the streams, under load and faults.

It uses the product through HTTP and the command line, and imports nothing from it.
"""
