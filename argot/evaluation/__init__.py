"""Searches and encoders measured on judged queries."""
