"""One module for each command: open, call one service, render."""
