"""What the Quality page is made of."""
