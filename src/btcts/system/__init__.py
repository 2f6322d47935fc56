"""Threads, files and connections of the operating system, and readable descriptions of its errors."""
