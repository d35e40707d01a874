"""Ways to cut an embedding into clusters that stand in for classes."""
