"""Settings chosen by measuring them on judged queries."""
