"""Personal data and secrets are removed here, in the sender's thread, before anything is spooled or sent."""
