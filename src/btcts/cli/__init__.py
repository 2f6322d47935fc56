"""The `btcts` command: parses, wires, delegates and renders; computes nothing."""
