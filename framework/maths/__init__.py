"""Mathematics that more than one system uses; no system in it."""
