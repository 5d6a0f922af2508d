"""Decides, purely, what shall happen to every workspace. Refuses every effect."""
