"""One module per step of the path: it reads references, calls core, models and adapters, and returns a reference."""
