"""The publishing half: from an event to its entry, stored to the durability that the operator chose."""
