"""Documents to chunks to vectors to a store, with a catalog that knows what is indexed."""
