"""What the functions and the workers share: the request's life, its record, its message, and how both are told.

Standard library and boto3 only: this package ships in every zip and image.
"""
