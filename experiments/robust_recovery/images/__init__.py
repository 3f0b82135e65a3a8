"""Pictures and data of one's own, recovered from a part or with errors."""
