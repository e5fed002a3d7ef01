"""Two images beside each other, and what differs between them."""
