"""Where requests are: the table, the queue, and what their payloads may be."""
