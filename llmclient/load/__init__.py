"""A load generator for programs that call Claude: `python -m llmclient.load`.

Open loop: when requests come is fixed beforehand, and how long one took counts from when it should have come. A server
that stalls is therefore met by all the requests that would have come meanwhile, and none of their waiting is left out.
"""
