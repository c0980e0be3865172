"""After a run: its record, and tables of many. Reads files; needs neither torch nor Dassl."""
