"""The vector store port and its adapters: one file per engine."""
