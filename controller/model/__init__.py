"""The nouns that the rooms exchange, frozen. Refuses behaviour beyond their own consistency."""
