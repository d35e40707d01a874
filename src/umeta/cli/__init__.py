"""The command line: reads the library, decides nothing."""
