"""The HTML page of a run: data, sections, charts, template."""
