"""Results as tables, JSON, CSV and lines of a log; decides nothing."""
