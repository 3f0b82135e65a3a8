"""Other tasks and networks than modular arithmetic with an MLP."""
