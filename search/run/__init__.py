"""One run of a search from settings to results, and what is shown meanwhile."""
