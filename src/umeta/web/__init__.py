"""What a person sees in a browser: the report of a run, and the page on which anyone can teach it."""
