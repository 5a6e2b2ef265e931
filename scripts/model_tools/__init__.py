"""What a model author runs: start, train, try, export."""
