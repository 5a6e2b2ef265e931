"""What an operator or a caller runs against a deployment."""
