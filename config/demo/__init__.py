"""The demonstration: a made-up product's four weeks of history, then live traffic. Everything in it is invented."""
