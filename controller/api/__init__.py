"""What people write and read: the kinds, their formats, reasons and labels. Refuses every effect."""
