"""The client in real processes: workers that fork, recycle and are killed, loops that come and go, and their ends."""
