"""What the Usage & cost page is made of."""
