"""What a run is configured by."""
