"""Rankings against judgements: metrics, intervals and paired tests."""
