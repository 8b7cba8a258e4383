"""Fuzzing of everything that reads bytes: `python -m tests.fuzz --help`. See docs/fuzzing.md."""
