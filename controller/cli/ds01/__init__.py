"""A DS01 limits file as a resource policy: its generations, its keys, what is carried over and what is said.

Pure: text in, policy and notes out. Nothing here opens a file or knows what time it is.
"""
