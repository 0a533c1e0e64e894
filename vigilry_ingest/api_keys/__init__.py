"""The key room: a key is shown once when it is minted; afterwards only its digest is known."""
