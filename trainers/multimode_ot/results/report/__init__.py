"""Pages in one HTML file each, for people: everything inline, nothing fetched."""
