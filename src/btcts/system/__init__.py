"""What the machine gives: threads, files, connections, and the words for what it refuses."""
