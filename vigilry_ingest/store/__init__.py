"""The store room: processed events in SQL, written by the default worker and read by people."""
