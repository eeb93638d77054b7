"""A sweep: many runs of one pipeline with different parameters, planned, spread over workers and recorded together."""
