"""Labels live here: held-out tasks that people labeled, and the label-free pools that belong to them.

Nothing that proposes tasks or learns from them may import this package, so "unsupervised" is a rule that the import
linter checks.
"""
