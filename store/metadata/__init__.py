"""What image files carry besides pixels: our own record, and what other programs read and write."""
