"""Replays: a trace driven through the real client, against a fake Claude, into the running product."""
