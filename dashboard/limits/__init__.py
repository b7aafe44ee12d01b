"""What the Limits page is made of."""
