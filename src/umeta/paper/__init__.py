"""The tables of the papers, made again: which rows they have, what was published, and how ours come about."""
