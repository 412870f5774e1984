"""The search itself, without Ray: which trial next, what each result means, when to stop."""
