"""Charts of results, for pages and for papers. Nothing in them is told by colour alone."""
