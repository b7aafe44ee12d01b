"""Display — step 8 of 8: what was measured becomes pages."""
