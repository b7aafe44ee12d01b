"""What the client costs its host: `python -m bench.client`, and `--quick` for about a minute."""
