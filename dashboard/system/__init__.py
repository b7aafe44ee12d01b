"""What the System page is made of."""
