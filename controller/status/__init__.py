"""Words, purely, what shall be said of every workspace. Refuses every effect."""
